//! Writing JSON text straight into a byte buffer.

/// Appends `text` as a JSON string with its quotes. Control characters other than tab, line feed and
/// carriage return are left out: FHIR's `string` does not allow them (section 2.24.0.1).
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    write_escaped(out, text);
    out.push(b'"');
}

/// Appends `text` as the inside of a JSON string, without quotes.
pub fn write_escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    // Nearly every text stands as it is.
    if !may_need_escaping(bytes) {
        out.extend_from_slice(bytes);
        return;
    }
    let mut from = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..=0x1f | 0x7f => b"",
            _ => continue,
        };
        out.extend_from_slice(&bytes[from..at]);
        out.extend_from_slice(escape);
        from = at + 1;
    }
    out.extend_from_slice(&bytes[from..]);
}

/// Whether a byte may be one that does not stand for itself in a JSON string, or that FHIR does not allow;
/// `false` is certain. Eight bytes are looked at in one step: texts of a hospital are short, and a loop
/// over single bytes was a tenth of the time of writing a page.
fn may_need_escaping(bytes: &[u8]) -> bool {
    let Some((first, _)) = bytes.split_first_chunk::<8>() else {
        return bytes.iter().any(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\' | 0x7f));
    };
    let (chunks, _) = bytes.as_chunks::<8>();
    // The last eight overlap those before them.
    let last = bytes.last_chunk::<8>().unwrap_or(first);
    chunks.iter().any(|chunk| special(*chunk)) || special(*last)
}

/// Whether one of eight bytes is below a blank, a quote, a backslash or DEL. The high bit of each byte of the sums
/// says so; a borrow from the byte before can only set one too many where that byte was special itself.
const fn special(eight: [u8; 8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    const fn zero(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word
    }
    let word = u64::from_le_bytes(eight);
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let found = control
        | zero(word ^ (ONES * b'"' as u64))
        | zero(word ^ (ONES * b'\\' as u64))
        | zero(word ^ (ONES * 0x7f));
    found & HIGH != 0
}

/// Appends a comma unless the last byte opens an object or array (or nothing was written yet).
pub fn separate(out: &mut Vec<u8>) {
    if !matches!(out.last(), None | Some(b'{' | b'[')) {
        out.push(b',');
    }
}

/// Appends `"name":` with a comma before it where one is due.
pub fn key(out: &mut Vec<u8>, name: &str) {
    separate(out);
    write_string(out, name);
    out.push(b':');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_characters_go_and_the_rest_is_escaped() {
        let mut out = Vec::new();
        write_string(&mut out, "a\"\\\n\t\u{0}\u{7f}ñ\u{1F600}");
        assert_eq!(String::from_utf8(out).unwrap(), "\"a\\\"\\\\\\n\\tñ\u{1F600}\"");
    }

    proptest! {
        #[test]
        fn what_needs_escaping_is_seen_wherever_it_stands(
            before in ".{0,20}", byte in 0_u8..0x80, after in ".{0,20}",
        ) {
            let text = format!("{before}{}{after}", char::from(byte));
            let needs = |b: u8| b < 0x20 || matches!(b, b'"' | b'\\' | 0x7f);
            let any = text.bytes().any(needs);
            prop_assert!(!any || may_need_escaping(text.as_bytes()));
            // Letters beyond ASCII do not send a text the long way.
            prop_assert!(any || !may_need_escaping(text.as_bytes()));
        }

        #[test]
        fn any_text_is_valid_json_and_comes_back(text in any::<String>()) {
            let mut out = Vec::new();
            write_string(&mut out, &text);
            let back: String = serde_json::from_slice(&out).unwrap();
            let kept: String = text
                .chars()
                .filter(|c| matches!(c, '\n' | '\r' | '\t') || !(*c < ' ' || *c == '\u{7f}'))
                .collect();
            prop_assert_eq!(back, kept);
        }
    }
}
