//! Figures: printed as they come, and written as text and JSON in the end.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

/// What one program found.
pub struct Report {
    name: &'static str,
    text: String,
}

impl Report {
    /// An empty one that says what was run, and on what.
    pub fn new(name: &'static str, how: &str) -> Self {
        let mut report = Self { name, text: String::new() };
        report.line(format!("# {name}: {how}"));
        report.line(format!("# {}", machine()));
        report
    }

    /// Prints a line and keeps it.
    pub fn line(&mut self, line: impl AsRef<str>) {
        println!("{}", line.as_ref());
        writeln!(self.text, "{}", line.as_ref()).unwrap();
    }

    /// Writes `NAME.txt` and `NAME.json` into a folder, and prints the JSON as one last line.
    pub fn finish(self, out: &Path, mut figures: Value) {
        round(&mut figures);
        std::fs::create_dir_all(out).unwrap();
        std::fs::write(out.join(format!("{}.txt", self.name)), self.text).unwrap();
        let json = serde_json::to_string_pretty(&figures).unwrap() + "\n";
        std::fs::write(out.join(format!("{}.json", self.name)), json).unwrap();
        println!("{figures}");
    }
}

/// To three decimals; more would only look exact.
fn round(figures: &mut Value) {
    match figures {
        Value::Array(all) => all.iter_mut().for_each(round),
        Value::Object(all) => all.values_mut().for_each(round),
        Value::Number(number) if number.is_f64() => {
            let rounded = number.as_f64().map(|n| (n * 1e3).round() / 1e3);
            *figures = rounded.into();
        }
        _ => {}
    }
}

/// Cores, processor, memory and load: enough to tell two machines, or a busy one, apart.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
        line.split_once(':').map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    let (cpu, memory) =
        (field(&read("/proc/cpuinfo"), "model name"), field(&read("/proc/meminfo"), "MemTotal"));
    format!("{cores} cores ({cpu}), {memory}, load {load} before the run")
}
