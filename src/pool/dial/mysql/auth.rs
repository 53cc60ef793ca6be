//! Answers to the login methods of MySQL and MariaDB that are supported.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use crate::base::SecretText;
use crate::pool::dial::{DialClass, DialFault};

/// A login method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plugin {
    /// `mysql_native_password`: SHA-1 challenge and response.
    Native,
    /// `caching_sha2_password`: SHA-256 challenge and response, else the password over a private link.
    CachingSha2,
    /// `sha256_password`: the password over a private link.
    Sha256,
}

impl Plugin {
    /// The method called `name`, when it may be used.
    pub(super) fn named(name: &str) -> Result<Self, DialFault> {
        match name {
            "mysql_native_password" => Ok(Self::Native),
            "caching_sha2_password" => Ok(Self::CachingSha2),
            "sha256_password" => Ok(Self::Sha256),
            "mysql_clear_password" | "dialog" | "authentication_ldap_simple_client" => Err(
                DialFault::new(DialClass::Auth, "the server asks for the password in clear text"),
            ),
            _ => Err(DialFault::new(
                DialClass::Auth,
                "the server asks for a login method that is not supported",
            )),
        }
    }

    /// Its name on the wire.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Native => "mysql_native_password",
            Self::CachingSha2 => "caching_sha2_password",
            Self::Sha256 => "sha256_password",
        }
    }
}

/// SHA1(password) XOR SHA1(nonce + SHA1(SHA1(password))).
pub(super) fn native(password: &SecretText, nonce: &[u8]) -> Zeroizing<Vec<u8>> {
    let hash = |bytes: &[u8]| digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes);
    let once = hash(password.expose().as_bytes());
    let twice = hash(once.as_ref());
    xor(once.as_ref(), hash(&[nonce, twice.as_ref()].concat()).as_ref())
}

/// SHA256(password) XOR SHA256(SHA256(SHA256(password)) + nonce).
pub(super) fn caching_sha2(password: &SecretText, nonce: &[u8]) -> Zeroizing<Vec<u8>> {
    let hash = |bytes: &[u8]| digest(&SHA256, bytes);
    let once = hash(password.expose().as_bytes());
    let twice = hash(once.as_ref());
    xor(once.as_ref(), hash(&[twice.as_ref(), nonce].concat()).as_ref())
}

/// The password with its final NUL, for a private link.
pub(super) fn clear(password: &SecretText) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(password.expose().len() + 1));
    bytes.extend_from_slice(password.expose().as_bytes());
    bytes.push(0);
    bytes
}

/// The password, masked with the nonce, under the server's RSA key (2048 to 8192 bits, PEM).
pub(super) fn under_key(
    password: &SecretText,
    nonce: &[u8],
    pem: &[u8],
) -> Result<Vec<u8>, DialFault> {
    let unusable = || DialFault::hostile("the server's key for the password is not usable");
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| unusable())?;
    let key = PublicEncryptingKey::from_der(&der).map_err(|_| unusable())?;
    let key = OaepPublicEncryptingKey::new(key).map_err(|_| unusable())?;
    let mask: Vec<u8> = nonce.iter().copied().cycle().take(password.expose().len() + 1).collect();
    let masked = xor(&clear(password), &mask);
    let mut sealed = vec![0; key.ciphertext_size()];
    let length =
        key.encrypt(&OAEP_SHA1_MGF1SHA1, &masked, &mut sealed, None).map_err(|_| unusable())?.len();
    sealed.truncate(length);
    Ok(sealed)
}

fn xor(a: &[u8], b: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(a.iter().zip(b).map(|(a, b)| a ^ b).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |text, b| text + &format!("{b:02x}"))
    }

    // Computed with an independent implementation (Python's hashlib) of the formulas above.
    #[test]
    fn scrambles_agree_with_an_independent_computation() {
        let password = SecretText::new("secret".to_owned());
        let nonce = b"abcdefghijabcdefghij";
        assert_eq!(hex(&native(&password, nonce)), "d3e177bbdde10fc20ccd225bbe87f6a24be9132c");
        assert_eq!(
            hex(&caching_sha2(&password, nonce)),
            "23f6a27bd47bd3c754dc336ecd218f9c83e7d968c008ca60998dc8cb9a60f39f"
        );
        assert_eq!(&**clear(&password), b"secret\0");
    }
}
