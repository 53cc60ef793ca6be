//! Whose statements a lease runs, for what, and how long they take.

use std::sync::Arc;

use tokio::time::Instant;

use crate::telemetry::plans::{End, Plan};
use crate::telemetry::trace::Trace;
use crate::telemetry::usage::Meter;

/// What the statements of a lease are counted by.
#[derive(Clone)]
pub struct Measured {
    meter: Arc<Meter>,
    plan: Option<Arc<Plan>>,
    traced: Option<Traced>,
}

/// The request's trace, and what its statements are called there.
#[derive(Clone)]
struct Traced {
    trace: Arc<Trace>,
    name: String,
}

impl Measured {
    /// Counts for a tenant, and for no plan yet.
    pub(super) const fn new(meter: Arc<Meter>) -> Self {
        Self { meter, plan: None, traced: None }
    }

    /// Counts for that plan from now on.
    pub(super) fn plan(&mut self, name: &str) {
        self.plan = Some(self.meter.plans().of(name));
        if let Some(traced) = &mut self.traced {
            name.clone_into(&mut traced.name);
        }
    }

    /// Notes every statement in that trace as well.
    pub(super) fn trace(&mut self, trace: Arc<Trace>) {
        self.traced = Some(Traced { trace, name: "statement".to_owned() });
    }

    /// Counts rows.
    pub fn rows(&self, count: usize) {
        let count = count as u64;
        self.meter.rows(count);
        if let Some(plan) = &self.plan {
            plan.rows(count);
        }
    }
}

/// The time of one statement, or of one transaction. Dropped before it was told of an end, it was cut off.
pub(super) struct Timing {
    measured: Option<Measured>,
    begun: Instant,
    pub(super) end: End,
}

impl Timing {
    pub(super) fn begin(measured: Option<&Measured>) -> Self {
        Self { measured: measured.cloned(), begun: Instant::now(), end: End::CutOff }
    }
}

impl Drop for Timing {
    fn drop(&mut self) {
        let Some(Measured { meter, plan, traced }) = &self.measured else { return };
        let took = self.begun.elapsed();
        meter.database(took);
        if let Some(plan) = plan {
            plan.ended(took, self.end);
        }
        if let Some(Traced { trace, name }) = traced {
            trace.statement(name, took, self.end);
        }
    }
}
