//! Keys that are no FHIR ids, as ids and back.
//!
//! A text that is of FHIR's alphabet for ids (R4, 2.24.0.1: letters, digits, `-` and `.`) and does not begin with
//! `-` stays as it is, so that no id changes when a mapping begins to escape. Any other is written with `-` before
//! it and each of its characters but letters, digits and `-` as a dot and two hexadecimal digits for each byte of
//! its UTF-8 form: `2024/17` is `-2024.2F17`. What another part of the key follows may not hold the character that
//! parts the two, so that is written so as well. One text has one form, and no two texts have the same.

/// What tells an escaped text from one that stands for itself.
const MARK: u8 = b'-';

/// Whether a byte stays as it is in an escaped text.
fn kept(byte: u8, apart: Option<char>) -> bool {
    (byte.is_ascii_alphanumeric() || byte == b'-') && apart != Some(char::from(byte))
}

/// Whether a text is its own form. `apart` is the character behind it that parts it from the rest of the id.
fn stands(text: &str, apart: Option<char>) -> bool {
    text.as_bytes().first().is_some_and(|first| *first != MARK)
        && text.bytes().all(|b| b == b'.' || kept(b, None))
        && apart.is_none_or(|c| !text.contains(c))
}

/// Whether a text can be a key: blanks at its ends do not count in what refers to it, so they may not here.
fn sound(text: &str) -> bool {
    !text.is_empty() && !text.starts_with(' ') && !text.ends_with(' ') && !text.contains('\0')
}

/// Appends the form of a text; `false`, with nothing appended, where there is none.
pub(super) fn write(out: &mut String, text: &str, apart: Option<char>) -> bool {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    if !sound(text) {
        return false;
    }
    if stands(text, apart) {
        out.push_str(text);
        return true;
    }
    out.push(char::from(MARK));
    for byte in text.bytes() {
        if kept(byte, apart) {
            out.push(char::from(byte));
        } else {
            out.push('.');
            for half in [byte >> 4, byte & 15] {
                out.extend(HEX.get(usize::from(half)).map(|digit| char::from(*digit)));
            }
        }
    }
    true
}

/// The text of which this is the form.
pub(super) fn read(form: &str, apart: Option<char>) -> Option<String> {
    let text = match form.as_bytes().split_first() {
        Some((&MARK, _)) => unescaped(form.get(1..)?)?,
        _ => form.to_owned(),
    };
    let mut again = String::with_capacity(form.len());
    (write(&mut again, &text, apart) && again == form).then_some(text)
}

fn unescaped(form: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(form.len());
    let mut rest = form.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'.' {
            let half = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let (high, low) = (half(rest.next())?, half(rest.next())?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn form(text: &str, apart: Option<char>) -> Option<String> {
        let mut out = String::new();
        write(&mut out, text, apart).then_some(out)
    }

    #[test]
    fn what_is_an_id_stays_and_the_rest_is_told_by_its_bytes() {
        for (text, apart, shown) in [
            ("HLC-PAT-2023-001", None, "HLC-PAT-2023-001"),
            ("1.2.840.10008", None, "1.2.840.10008"),
            ("HLC-PAT-2023/001", None, "-HLC-PAT-2023.2F001"),
            ("a_b", None, "-a.5Fb"),
            ("-5", None, "--5"),
            ("1.25", Some('-'), "1.25"),
            ("{0b}", None, "-.7B0b.7D"),
            ("ИБ-7", None, "-.D0.98.D0.91-7"),
            ("a-b", Some('-'), "-a.2Db"),
            ("a/b.c", None, "-a.2Fb.2Ec"),
        ] {
            assert_eq!(form(text, apart).as_deref(), Some(shown));
            assert_eq!(read(shown, apart).as_deref(), Some(text));
        }
        for none in ["", " a", "a ", "a\0"] {
            assert_eq!(form(none, None), None, "{none:?}");
        }
    }

    #[test]
    fn a_text_has_one_form() {
        for other in ["-a.5fb", "-ab", "-", "-a.5", "-a.GG", "-.C3", "-.20a", "a/b", "-a.62", ""] {
            assert_eq!(read(other, None), None, "{other}");
        }
        assert_eq!(read("a-b", Some('-')), None);
    }

    proptest! {
        #[test]
        fn every_form_leads_back(text in "[ -~й語]{0,12}", parted in any::<bool>()) {
            let apart = parted.then_some('-');
            if let Some(form) = form(&text, apart) {
                prop_assert!(form.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b)));
                prop_assert_eq!(read(&form, apart), Some(text));
            }
        }

        #[test]
        fn whatever_is_read_is_written_so(form_ in "[-.0-9A-Fa-z]{0,12}") {
            if let Some(text) = read(&form_, None) {
                prop_assert_eq!(form(&text, None), Some(form_));
            }
        }
    }
}
