use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::KekId;
use super::material::{KEY_LEN, KeyBytes};

const HEADER: &str = "wardgate-kek-file v1";
/// Room for some hundred keys.
const SIZE_MAX: u64 = 64 * 1024;

/// A key file that cannot be used. Names the file and the line, never what a line holds.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KeyFileFault {
    /// Not there, or the system refused.
    #[error("key file {path}: {problem}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's words.
        problem: String,
    },
    /// Others could read or replace it.
    #[error(
        "key file {path} has {found}; it must be a regular file with mode 0600 or 0400, owned by \
             the gateway's user or root"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
    /// Not in the documented form.
    #[error("key text, line {line}: {problem}")]
    Format {
        /// Counted from 1.
        line: usize,
        /// What is expected there.
        problem: &'static str,
    },
    /// An id of another form.
    #[error("a key-encryption key's id is 1 to 32 of a-z, 0-9 and -")]
    InvalidId,
    /// A new key with an id that exists.
    #[error("key-encryption key {0} exists already")]
    Exists(KekId),
    /// No key with that id.
    #[error("there is no key-encryption key {0}")]
    Unknown(KekId),
    /// The current key cannot be taken away.
    #[error("key-encryption key {0} is the current one; make another current first")]
    Current(KekId),
}

/// The key-encryption keys of one source: at least one, exactly one of them current.
pub(super) struct KekSet {
    keys: BTreeMap<KekId, KeyBytes>,
    current: KekId,
}

impl KekSet {
    /// A set of one key.
    pub(super) fn of(id: KekId, key: KeyBytes) -> Result<Self, KeyFileFault> {
        check_id(&id.0)?;
        Ok(Self { keys: BTreeMap::from([(id.clone(), key)]), current: id })
    }

    /// Parses the documented text, strictly: header line, then `id base64 [current]` a line, one
    /// space between, no empty lines, no comments.
    pub(super) fn parse(text: &str) -> Result<Self, KeyFileFault> {
        let fault = |line, problem| KeyFileFault::Format { line, problem };
        let body = text.strip_suffix('\n').unwrap_or(text);
        let mut lines = body.split('\n').enumerate().map(|(at, line)| (at + 1, line));
        if lines.next().map(|(_, line)| line) != Some(HEADER) {
            return Err(fault(1, "must be `wardgate-kek-file v1`"));
        }
        let mut keys: BTreeMap<KekId, KeyBytes> = BTreeMap::new();
        let mut current = None;
        for (number, line) in lines {
            let mut words = line.split(' ');
            let (Some(id), Some(key)) = (words.next(), words.next()) else {
                return Err(fault(number, "must be `id base64` or `id base64 current`"));
            };
            let is_current = match (words.next(), words.next()) {
                (None, _) => false,
                (Some("current"), None) => true,
                _ => return Err(fault(number, "after the key only `current` may follow")),
            };
            check_id(id).map_err(|_| fault(number, "a key's id is 1 to 32 of a-z, 0-9 and -"))?;
            let (id, key) = (KekId(id.to_owned()), parse_key(key, number)?);
            if keys.values().any(|other| other.same_as(&key)) {
                return Err(fault(number, "repeats the bytes of another key"));
            }
            if keys.insert(id.clone(), key).is_some() {
                return Err(fault(number, "repeats an id"));
            }
            if is_current && current.replace(id).is_some() {
                return Err(fault(number, "a second key is marked current"));
            }
        }
        let current = current.ok_or(fault(1, "one key below must be marked current"))?;
        Ok(Self { keys, current })
    }

    /// The text that [`parse`](Self::parse) reads.
    pub(super) fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(32 + self.keys.len() * 96));
        text.push_str(HEADER);
        text.push('\n');
        for (id, key) in &self.keys {
            text.push_str(&id.0);
            text.push(' ');
            STANDARD.encode_string(key.expose(), &mut text);
            text.push_str(if *id == self.current { " current\n" } else { "\n" });
        }
        text
    }

    pub(super) const fn current(&self) -> &KekId {
        &self.current
    }

    pub(super) fn ids(&self) -> Vec<KekId> {
        self.keys.keys().cloned().collect()
    }

    pub(super) fn get(&self, id: &KekId) -> Option<&KeyBytes> {
        self.keys.get(id)
    }

    pub(super) fn add(&mut self, id: KekId, key: KeyBytes) -> Result<(), KeyFileFault> {
        check_id(&id.0)?;
        if self.keys.contains_key(&id) {
            return Err(KeyFileFault::Exists(id));
        }
        self.keys.insert(id, key);
        Ok(())
    }

    pub(super) fn set_current(&mut self, id: KekId) -> Result<(), KeyFileFault> {
        if !self.keys.contains_key(&id) {
            return Err(KeyFileFault::Unknown(id));
        }
        self.current = id;
        Ok(())
    }

    pub(super) fn remove(&mut self, id: KekId) -> Result<(), KeyFileFault> {
        if id == self.current {
            return Err(KeyFileFault::Current(id));
        }
        self.keys.remove(&id).map(drop).ok_or(KeyFileFault::Unknown(id))
    }
}

fn check_id(id: &str) -> Result<(), KeyFileFault> {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if id.is_empty() || id.len() > 32 || !id.bytes().all(good) {
        return Err(KeyFileFault::InvalidId);
    }
    Ok(())
}

pub(super) fn parse_key(text: &str, line: usize) -> Result<KeyBytes, KeyFileFault> {
    let fault = |problem| KeyFileFault::Format { line, problem };
    let expected = "a key is 32 bytes in base64 with padding (44 characters)";
    let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| fault(expected))?);
    let key = KeyBytes::copied_from(&bytes).ok_or(fault(expected))?;
    if *key.expose() == [0; KEY_LEN] {
        return Err(fault("a key of zeros is no key"));
    }
    Ok(key)
}

/// Reads a key file after checking who else could.
pub(super) fn read(path: &Path) -> Result<KekSet, KeyFileFault> {
    let mut file = File::open(path).map_err(io(path))?;
    // The open file is checked, not the path: what is read is what was checked.
    let meta = file.metadata().map_err(io(path))?;
    let exposed = |found: String| KeyFileFault::Exposed { path: path.to_owned(), found };
    if !meta.is_file() {
        return Err(exposed("another kind than a regular file".to_owned()));
    }
    let mode = meta.mode() & 0o7777;
    if mode != 0o600 && mode != 0o400 {
        return Err(exposed(format!("mode {mode:04o}")));
    }
    let user = rustix::process::geteuid().as_raw();
    if meta.uid() != user && meta.uid() != 0 {
        return Err(exposed(format!("owner {}", meta.uid())));
    }
    if meta.len() > SIZE_MAX {
        return Err(KeyFileFault::Format { line: 1, problem: "the file is larger than 64 KiB" });
    }
    let room = usize::try_from(SIZE_MAX).unwrap_or(0) + 1;
    let mut text = Zeroizing::new(String::with_capacity(room));
    (&mut file).take(SIZE_MAX).read_to_string(&mut text).map_err(io(path))?;
    KekSet::parse(&text)
}

/// Writes a key file that must not exist yet, mode 0600.
pub(super) fn create(path: &Path, set: &KekSet) -> Result<(), KeyFileFault> {
    let mut file = new_file(path)?;
    file.write_all(set.to_text().as_bytes()).and_then(|()| file.sync_all()).map_err(io(path))?;
    sync_folder(path)
}

/// Reads, changes and atomically replaces a key file: whoever reads it sees the old keys or the new
/// ones, also after a power cut. One change at a time, across processes.
pub(super) fn change(
    path: &Path,
    change: impl FnOnce(&mut KekSet) -> Result<(), KeyFileFault>,
) -> Result<KekSet, KeyFileFault> {
    // A link (as secret mounts use) keeps pointing at what it points at.
    let path = &path.canonicalize().map_err(io(path))?;
    let folder = File::open(folder_of(path)).map_err(io(path))?;
    rustix::fs::flock(&folder, rustix::fs::FlockOperation::LockExclusive)
        .map_err(|errno| io(path)(errno.into()))?;
    let mut set = read(path)?;
    change(&mut set)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    // Left over by a crash between creating and renaming; under the lock nobody else is writing it.
    if let Err(error) = std::fs::remove_file(&beside)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(io(&beside)(error));
    }
    let (mut file, old) = (new_file(&beside)?, path.metadata().map_err(io(path))?);
    // An operator who rotates as root must not lock the gateway's own user out of its keys.
    if old.uid() != rustix::process::geteuid().as_raw() {
        std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid())).map_err(io(path))?;
    }
    file.write_all(set.to_text().as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&beside, path))
        .and_then(|()| folder.sync_all())
        .map_err(io(path))?;
    Ok(set)
}

fn new_file(path: &Path) -> Result<File, KeyFileFault> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io(path))
}

fn sync_folder(path: &Path) -> Result<(), KeyFileFault> {
    File::open(folder_of(path)).and_then(|folder| folder.sync_all()).map_err(io(path))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> KeyFileFault {
    move |error| KeyFileFault::Io { path: path.to_owned(), problem: error.to_string() }
}
