//! Arguments, with the environment as second choice.

use std::path::PathBuf;

/// A program's arguments. What cargo itself adds (`--bench`) is left out.
pub struct Arguments {
    /// Words that are no options.
    pub names: Vec<String>,
    /// A smoke run: everything small, the figures mean nothing.
    pub quick: bool,
    /// Where `NAME.txt` and `NAME.json` go.
    pub out: PathBuf,
    options: Vec<(String, String)>,
}

impl Arguments {
    /// Of this process.
    pub fn read() -> Self {
        let mut read = Self {
            names: Vec::new(),
            quick: false,
            out: PathBuf::from(env!("CARGO_TARGET_TMPDIR")),
            options: Vec::new(),
        };
        let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
        while let Some(word) = words.next() {
            match word.strip_prefix("--") {
                Some("quick") => read.quick = true,
                Some(option) => {
                    let value = words.next().unwrap_or_else(|| panic!("--{option} wants a value"));
                    read.options.push((option.to_owned(), value));
                }
                None => read.names.push(word),
            }
        }
        if let Some(out) = read.text("out") {
            read.out = out.into();
        }
        read
    }

    /// `--NAME VALUE`, or `WARDGATE_BENCH_NAME`.
    pub fn text(&self, name: &str) -> Option<String> {
        let given = self.options.iter().find(|(option, _)| option == name);
        let variable = format!("WARDGATE_BENCH_{}", name.replace('-', "_").to_uppercase());
        given.map(|(_, value)| value.clone()).or_else(|| std::env::var(variable).ok())
    }

    /// The same as a number: given, or `quick` or `full` by the kind of run.
    pub fn number(&self, name: &str, quick: u64, full: u64) -> u64 {
        match self.text(name) {
            Some(text) => text.parse().unwrap_or_else(|_| panic!("--{name} wants a whole number")),
            None if self.quick => quick,
            None => full,
        }
    }

    /// The same as a list of numbers with commas.
    pub fn numbers(&self, name: &str, otherwise: &[u64]) -> Vec<u64> {
        let Some(text) = self.text(name) else { return otherwise.to_vec() };
        let number = |part: &str| part.trim().parse().ok();
        let all: Option<Vec<u64>> = text.split(',').map(number).collect();
        all.unwrap_or_else(|| panic!("--{name} wants whole numbers with commas"))
    }
}
