//! A database server of a test's own, which can be stopped like a machine that hangs: it accepts
//! connections, acknowledges bytes and says nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::Server;

/// A server that ends, with all its data, when this value is dropped.
pub struct Stoppable {
    state: tempfile::TempDir,
    kind: &'static str,
    server: Server,
}

impl Stoppable {
    /// Starts a PostgreSQL.
    pub async fn postgres() -> Self {
        Self::start("postgres", "WARDGATE_TEST_POSTGRES").await
    }

    /// Starts a MariaDB.
    pub async fn mariadb() -> Self {
        Self::start("mariadb", "WARDGATE_TEST_MARIADB").await
    }

    async fn start(kind: &'static str, variable: &'static str) -> Self {
        let started = tokio::task::spawn_blocking(move || {
            let state = tempfile::tempdir().expect("make a folder");
            script(state.path(), &["up", kind]);
            let lines = script(state.path(), &["env"]);
            let given = format!("export {variable}='");
            let json = lines
                .lines()
                .find_map(|line| line.strip_prefix(&given)?.strip_suffix('\''))
                .expect("the script says where the server is");
            let server = serde_json::from_str(json).expect("the variable holds the JSON it should");
            Self { state, kind, server }
        });
        started.await.expect("start a server")
    }

    /// Where it is.
    pub fn server(&self) -> Server {
        self.server.clone()
    }

    /// Stops it, and every process of it. When this returns none of them executes any more: the signal
    /// alone lets a thread finish what it is about.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        let first = self.first();
        for pid in [first].into_iter().chain(children(first)) {
            for attempt in 0.. {
                if is_stopped(pid) {
                    break;
                }
                assert!(attempt < 10_000, "process {pid} goes on");
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// The folder of its data.
    pub fn data(&self) -> PathBuf {
        let folder = std::fs::read_to_string(self.state.path().join("data-dir"));
        Path::new(folder.expect("the script noted the folder").trim()).join(self.kind).join("data")
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// The server's own process.
    fn first(&self) -> i32 {
        let note = self.state.path().join(format!("{}.pid", self.kind));
        let note = std::fs::read_to_string(note).expect("the script noted the process");
        let first = note.split_whitespace().next().expect("a process id");
        first.parse().expect("a process id")
    }

    fn signal(&self, signal: Signal) {
        let first = self.first();
        // The first one first: a stopped PostgreSQL starts no further ones.
        for pid in [first].into_iter().chain(children(first)) {
            let pid = Pid::from_raw(pid).expect("a process id");
            // One that ended meanwhile needs no signal.
            let _gone = kill_process(pid, signal).is_err();
        }
    }
}

impl Drop for Stoppable {
    fn drop(&mut self) {
        self.go_on();
        script(self.state.path(), &["down"]);
    }
}

/// Whether every thread of a process is stopped, or it is gone (`proc(5)`, the third field of `stat`).
fn is_stopped(pid: i32) -> bool {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return true };
    let state = |stat: String| stat.rsplit(')').next().map(|rest| rest.trim().chars().next());
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok())
        .filter_map(state)
        .all(|state| matches!(state, None | Some('T' | 't' | 'Z' | 'X')))
}

/// The processes that process `parent` has started.
fn children(parent: i32) -> Vec<i32> {
    let tasks = format!("/proc/{parent}/task");
    let Ok(tasks) = std::fs::read_dir(tasks) else { return Vec::new() };
    let lists =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()
        })
        .collect()
}

fn script(state: &Path, arguments: &[&str]) -> String {
    let done = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers.sh"))
        .args(arguments)
        .env("WARDGATE_TEST_STATE", state)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .expect("run the script");
    assert!(done.status.success(), "tests/servers.sh {arguments:?}");
    String::from_utf8(done.stdout).expect("text")
}
