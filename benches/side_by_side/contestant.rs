//! A server under load, and what it costs.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::PATIENTS;
use crate::load::{self, Measured};
use crate::shared::{Wire, get};

/// A server in a process of its own.
pub struct Contestant {
    pub name: &'static str,
    pub address: SocketAddr,
    pub path: &'static str,
    pub token: Option<String>,
    pub pid: u32,
}

/// One round of one server.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    pub load: Measured,
    /// Of the server's process, in microseconds.
    pub cpu_per_request: f64,
}

impl Contestant {
    /// CPU time of the process so far, in microseconds (`/proc/PID/stat`, 100 ticks a second on Linux).
    /// Neither the load generator nor the database is in it.
    fn cpu_us(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = [11, 12].iter().map(|at| fields[*at].parse::<u64>().unwrap()).sum();
        ticks * 10_000
    }

    /// The patient of that id, as this server gives her.
    pub async fn patient(&self, id: u32) -> Value {
        let mut wire = Wire::open(self.address).await.unwrap();
        let request = get(&format!("{}{id}", self.path), self.token.as_deref());
        let answered = wire.send(&request).await.unwrap();
        assert_eq!(answered.status, 200, "{}", self.name);
        let mut patient: Value = serde_json::from_slice(wire.body()).unwrap();
        patient.as_object_mut().unwrap().remove("meta");
        patient
    }

    /// Puts it under load for a while.
    pub async fn run(&self, clients: usize, span: Duration) -> Round {
        let paths: Vec<_> =
            (0..997u32).map(|n| format!("{}{}", self.path, 1 + n * 7919 % PATIENTS)).collect();
        let before = self.cpu_us();
        let load = load::run(self.address, &paths, self.token.as_deref(), clients, span).await;
        assert_eq!(load.errors, 0, "{} answered with errors", self.name);
        let cpu_per_request = (self.cpu_us() - before) as f64 / load.requests as f64;
        Round { load, cpu_per_request }
    }
}
