use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// A password, key text or token. Shows `***` when printed and is wiped when dropped. It is neither
/// `Serialize` nor comparable, so it cannot slip into a log line or a JSON answer by derive.
#[derive(Clone)]
pub struct SecretText(SecretString);

impl SecretText {
    /// Takes ownership of a secret.
    pub fn new(secret: String) -> Self {
        Self(SecretString::from(secret))
    }

    /// The secret itself. Call it at the last moment and do not keep the result.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", SecretText::new("hunter2".to_owned())), "***");
    }
}
