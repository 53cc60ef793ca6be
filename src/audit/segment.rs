//! Files of one chain: names, and reading them line by line.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use super::line::LINE_MAX;
use crate::base::TenantId;

/// The folder of a tenant's chains.
pub(super) fn tenant_folder(dir: &Path, tenant: TenantId) -> PathBuf {
    dir.join(tenant.to_string())
}

/// The folder of one chain.
pub(super) fn chain_folder(dir: &Path, tenant: TenantId, instance: &str) -> PathBuf {
    tenant_folder(dir, tenant).join(instance)
}

/// The file of a segment; the first is 1.
pub(super) fn segment_path(folder: &Path, segment: u32) -> PathBuf {
    folder.join(file_name(segment))
}

fn file_name(segment: u32) -> String {
    format!("{segment:06}.log")
}

/// The numbers of the segments in a chain's folder, in order; none when there is no folder.
pub(super) fn segments(folder: &Path) -> io::Result<Vec<u32>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else { continue };
        let number = name.strip_suffix(".log").and_then(|digits| digits.parse::<u32>().ok());
        numbers.extend(number.filter(|number| *number > 0 && file_name(*number) == name));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The names in a folder that are plain text; none when there is no folder.
pub(super) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

/// Reads a file line by line, none longer than a line may be.
pub(super) struct Lines(BufReader<File>);

/// One line of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// A line that ends in a newline, which is left out.
    Whole(Vec<u8>),
    /// What follows the last newline: a write that is going on or was broken off.
    Torn(Vec<u8>),
    /// More than any line holds.
    TooLong,
    /// Nothing more.
    End,
}

impl Lines {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(BufReader::with_capacity(128 * 1024, File::open(path)?)))
    }

    pub(super) fn next(&mut self) -> io::Result<Read> {
        let mut line = Vec::new();
        let limit = u64::try_from(LINE_MAX).unwrap_or(u64::MAX);
        self.0.by_ref().take(limit).read_until(b'\n', &mut line)?;
        Ok(match line.pop() {
            None => Read::End,
            Some(b'\n') => Read::Whole(line),
            Some(last) => {
                line.push(last);
                if line.len() == LINE_MAX { Read::TooLong } else { Read::Torn(line) }
            }
        })
    }
}
