//! Writing JSON text straight into a byte buffer.

/// Appends `text` as a JSON string with its quotes. Control characters other than tab, line feed and
/// carriage return are left out: FHIR's `string` does not allow them (section 2.24.0.1).
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    write_escaped(out, text);
    out.push(b'"');
}

/// Appends `text` as the inside of a JSON string, without quotes.
pub fn write_escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    // Nearly every text stands as it is. Without a way out of the loop it is done many bytes at a time.
    let special = |byte: u8| byte < 0x20 || matches!(byte, b'"' | b'\\' | 0x7f);
    if !bytes.iter().fold(false, |found, byte| found | special(*byte)) {
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
