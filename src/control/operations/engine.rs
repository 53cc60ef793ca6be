use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::fault::BREAKS;
use super::{Ended, Kind, Running, Step, StepFault, WorkOrder, tally};
use crate::control::{Control, ControlFault};
use crate::registry::{Claim, Operation, OperationState, RegistryFault, Settled};

/// How long between two looks for work that another gateway, or the command line, ordered.
const LOOK: Duration = Duration::from_secs(1);
/// How long a stop waits to note that what it leaves is left on purpose.
const SPARE: Duration = Duration::from_secs(1);

/// Why the work on an operation ended without its being over.
enum Left {
    /// It is somebody else's now, or waits.
    Away,
    /// The registry does not answer.
    Registry(RegistryFault),
}

impl From<RegistryFault> for Left {
    fn from(fault: RegistryFault) -> Self {
        Self::Registry(fault)
    }
}

/// A step that panics has failed: whoever carries it out goes on with other work.
async fn whole(name: &str, step: impl Future<Output = Step>) -> Step {
    let ended = AssertUnwindSafe(step).catch_unwind().await;
    ended.unwrap_or_else(|_panic| Err(StepFault::panicked(name)))
}

impl Control {
    /// Carries out whatever is ordered, until `stop`. What is under way then is left as after a kill, and
    /// taken up by the next gateway.
    pub async fn run_operations(self, stop: CancellationToken) {
        let mut workers = JoinSet::new();
        for _ in 0..self.0.work.workers.max(1) {
            let (control, stop) = (self.clone(), stop.clone());
            workers.spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = control.work(Claim::default()) => {}
                }
            });
        }
        while let Some(ended) = workers.join_next().await {
            if ended.is_err() && !stop.is_cancelled() {
                // A step that broke must not end the carrying out of all others.
                let (control, stop) = (self.clone(), stop.clone());
                workers.spawn(async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = control.work(Claim::default()) => {}
                    }
                });
            }
        }
        let work = &self.0.work;
        let spared = self.0.registry.spare_operations(&work.holder);
        if !matches!(timeout(SPARE, spared).await, Ok(Ok(()))) {
            tracing::info!(target: "wardgate::control", "what is left in mid-step counts as broken off");
        }
    }

    async fn work(&self, claim: Claim) {
        loop {
            if !matches!(self.work_once(claim).await, Ok(true)) {
                let _rung_or_not = timeout(LOOK, self.0.work.bell.notified()).await;
            }
        }
    }

    /// Takes up one operation and carries it out as far as it goes. `false`: there was none.
    pub(super) async fn work_once(&self, claim: Claim) -> Result<bool, RegistryFault> {
        let work = &self.0.work;
        let claimed = self.0.registry.claim_operation(&work.holder, claim, work.lease).await;
        let operation = match claimed {
            Ok(Some(operation)) => operation,
            Ok(None) => return Ok(false),
            Err(fault) => {
                tracing::warn!(target: "wardgate::operations", reason = %fault, "no operation could be taken up");
                return Err(fault);
            }
        };
        let (id, kind) = (operation.id, operation.kind.clone());
        match Box::pin(self.carry_out(operation)).await {
            Ok(state) => {
                if let Some(kind) = Kind::parse(&kind) {
                    tally::ended(kind.as_str(), state, 1);
                }
                tracing::info!(target: "wardgate::operations", operation = %id, kind, state = state.as_str(), "operation ended");
            }
            Err(Left::Away) => {}
            Err(Left::Registry(fault)) => {
                tracing::warn!(target: "wardgate::operations", operation = %id, kind, reason = %fault, "operation left");
            }
        }
        Ok(true)
    }

    /// Carries an operation out here, with its parts, and tells `each` whenever something of it changed.
    /// When another gateway holds it, watches. Ends when it is over.
    pub async fn drive(
        &self,
        id: Uuid,
        mut each: impl FnMut(&Operation) + Send,
    ) -> Result<Operation, ControlFault> {
        let mut workers = JoinSet::new();
        for _ in 0..self.0.work.workers.max(1) {
            let control = self.clone();
            workers.spawn(async move { control.work(Claim { only: Some(id) }).await });
        }
        let mut last = None;
        loop {
            let found = self.0.registry.operation(id).await?;
            let mut now = found.ok_or(RegistryFault::NotFound("operation"))?;
            self.count_parts([(now.id, &mut now.progress)]).await?;
            let seen = (now.state, now.step, now.progress.clone());
            if last.as_ref() != Some(&seen) {
                last = Some(seen);
                each(&now);
            }
            if now.state.is_over() || now.frozen {
                return Ok(now);
            }
            sleep(Duration::from_millis(150)).await;
        }
    }

    async fn carry_out(&self, mut operation: Operation) -> Result<OperationState, Left> {
        let registry = &self.0.registry;
        let Some(kind) = Kind::parse(&operation.kind) else {
            let error = StepFault::defect("this program knows no such operation").to_json();
            let settled = Settled::Failed { error };
            registry.settle_operation(&operation, false, &settled).await?;
            return Ok(OperationState::Failed);
        };
        loop {
            let undo = operation.state == OperationState::Undoing;
            if operation.cancel_asked && !undo {
                let settled = if operation.step < kind.way_back_before() {
                    Settled::Undo
                } else {
                    Settled::CancelRefused
                };
                operation = self.settle(&operation, undo, &settled).await?;
                continue;
            }
            if operation.frozen {
                let (error, progress) = (None, operation.progress.clone());
                let later = Settled::Later { after: Duration::ZERO, error, progress };
                self.settle(&operation, undo, &later).await?;
                return Err(Left::Away);
            }
            let steps = if undo { kind.undo() } else { kind.steps() };
            let at = usize::try_from(operation.step).unwrap_or(usize::MAX);
            let Some(&name) = steps.get(at) else {
                let result = serde_json::json!({});
                let over = if undo {
                    Settled::Cancelled { result }
                } else {
                    Settled::Succeeded { result }
                };
                return Ok(self.settle(&operation, undo, &over).await?.state);
            };
            if operation.broken_off >= BREAKS {
                return self.leave_broken(kind, name, &operation).await;
            }
            if !registry.begin_step(&operation, undo, operation.step, name).await? {
                return Err(Left::Away);
            }
            let settled = self.step(kind, name, at + 1 == steps.len(), &operation).await?;
            let put_off = matches!(settled, Settled::Later { .. });
            operation = self.settle(&operation, undo, &settled).await?;
            if put_off {
                return Err(Left::Away);
            }
            if operation.state.is_over() {
                return Ok(operation.state);
            }
        }
    }

    /// Leaves a step that ends its gateway every time.
    async fn leave_broken(
        &self,
        kind: Kind,
        name: &'static str,
        operation: &Operation,
    ) -> Result<OperationState, Left> {
        let fault = StepFault::broken_off(name, operation.broken_off);
        let undo = operation.state == OperationState::Undoing;
        let settled = Settled::Failed { error: fault.to_json() };
        // First of all: what is written down elsewhere may be what ends the gateway.
        let now = self.settle(operation, undo, &settled).await?;
        let order = WorkOrder { operation: operation.clone() };
        self.write_down(kind, &mut self.at(&order), &fault).await;
        Ok(now.state)
    }

    fn at<'a>(&'a self, order: &'a WorkOrder) -> Running<'a> {
        let progress = order.operation.progress.as_object().cloned().unwrap_or_default();
        Running { control: self, order, progress, result: serde_json::json!({}) }
    }

    async fn write_down(&self, kind: Kind, at: &mut Running<'_>, fault: &StepFault) {
        let _written_or_not = AssertUnwindSafe(kind.failed(at, fault)).catch_unwind().await;
    }

    async fn settle(
        &self,
        held: &Operation,
        undo: bool,
        settled: &Settled,
    ) -> Result<Operation, Left> {
        let now = self.0.registry.settle_operation(held, undo, settled).await?;
        now.ok_or(Left::Away)
    }

    /// Carries one step out while the lease is renewed. When it is lost, the step is dropped.
    async fn step(
        &self,
        kind: Kind,
        name: &'static str,
        last: bool,
        operation: &Operation,
    ) -> Result<Settled, Left> {
        let order = WorkOrder { operation: operation.clone() };
        let mut at = self.at(&order);
        let ended = tokio::select! {
            ended = whole(name, kind.carry_out(name, &mut at)) => ended,
            () = self.hold(operation) => return Err(Left::Away),
        };
        let undo = operation.state == OperationState::Undoing;
        Ok(match ended {
            Ok(Ended::Done(_)) if last && undo => Settled::Cancelled { result: at.result },
            Ok(Ended::Done(_)) if last => Settled::Succeeded { result: at.result },
            Ok(Ended::Done(note)) => Settled::Next { progress: at.progress.into(), note },
            Ok(Ended::Wait(after)) => {
                Settled::Later { after, error: None, progress: at.progress.into() }
            }
            Err(fault) if operation.attempts + 1 < fault.tries(operation.broken_off > 0) => {
                let after = Duration::from_secs(1 << operation.attempts.min(5));
                let (error, progress) = (Some(fault.to_json()), at.progress.into());
                Settled::Later { after, error, progress }
            }
            Err(fault) => {
                self.write_down(kind, &mut at, &fault).await;
                Settled::Failed { error: fault.to_json() }
            }
        })
    }

    /// Renews the lease of an operation as long as it can be; ends when it is lost, or when it may be lost
    /// soon because the registry does not answer.
    async fn hold(&self, operation: &Operation) {
        let lease = self.0.work.lease;
        let mut sure_until = Instant::now() + lease;
        loop {
            sleep(lease / 3).await;
            let asked = Instant::now();
            let renewing = self.0.registry.renew_operation(operation, lease);
            // However long the answer takes, the lease runs from when it was asked for.
            match timeout_at(sure_until, renewing).await {
                Ok(Ok(true)) => sure_until = asked + lease,
                Ok(Ok(false)) | Err(_) => return,
                Ok(Err(_)) if Instant::now() + lease / 3 >= sure_until => return,
                Ok(Err(_)) => {}
            }
        }
    }
}
