//! The letters of a session whose server may not convert them.
//!
//! Some encodings of one byte for a letter have bytes that mean none, and where programs of several times have
//! written, such bytes stand in cells. Asked for UTF-8 the server refuses a whole answer over one of them. So
//! it is asked for what it has, and told what it takes; each cell is judged here.

use std::borrow::Cow;

use super::reply::ServerError;
use crate::pool::letters::Letters;

/// In no UTF-8. Stands where a byte means no letter, so that nothing can take its cell for a text.
const NO_LETTER: u8 = 0xff;

/// What the bytes from 0x80 on mean.
pub(super) struct Alphabet {
    /// As the server calls it.
    pub(super) encoding: String,
    letters: [Option<char>; 128],
}

impl Alphabet {
    /// Of an encoding that the server cannot be left to convert.
    pub(super) fn of(encoding: &str) -> Option<Self> {
        let letters = Letters::of(encoding)?.with_gaps()?;
        Some(Self { encoding: encoding.to_owned(), letters })
    }

    /// Appends what bytes mean, as UTF-8 unless one of them means nothing.
    fn read(&self, bytes: &[u8], out: &mut Vec<u8>) {
        for byte in bytes {
            match byte.checked_sub(128).map(|at| self.letters[usize::from(at)]) {
                None => out.push(*byte),
                Some(Some(letter)) => {
                    out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                }
                Some(None) => out.push(NO_LETTER),
            }
        }
    }

    /// A name that the server gives.
    pub(super) fn name(&self, bytes: &[u8]) -> String {
        let mut out = Vec::with_capacity(bytes.len());
        self.read(bytes, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Rewrites a row's body; `None` where it already means what it says, or is no row.
    pub(super) fn row(&self, body: &[u8]) -> Option<Vec<u8>> {
        if body.is_ascii() {
            return None;
        }
        let (count, mut rest) = body.split_first_chunk::<2>()?;
        let mut out = Vec::with_capacity(body.len() + body.len() / 2);
        out.extend_from_slice(count);
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let begin = out.len();
            out.extend_from_slice(length);
            rest = after;
            let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else { continue };
            let (cell, after) = rest.split_at_checked(length)?;
            self.read(cell, &mut out);
            let written = i32::try_from(out.len() - begin - 4).ok()?;
            out[begin..begin + 4].copy_from_slice(&written.to_be_bytes());
            rest = after;
        }
        rest.is_empty().then_some(out)
    }

    /// The bytes of a text; the server's own error when it has a letter that is not among them.
    pub(super) fn written<'t>(&self, text: &'t str) -> Result<Cow<'t, [u8]>, sqlx::Error> {
        if text.is_ascii() {
            return Ok(Cow::Borrowed(text.as_bytes()));
        }
        let byte = |letter: char| match u8::try_from(letter) {
            Ok(byte) if byte.is_ascii() => Some(byte),
            _ => {
                let place = self.letters.iter().position(|own| *own == Some(letter))?;
                u8::try_from(place + 128).ok()
            }
        };
        let bytes: Option<Vec<u8>> = text.chars().map(byte).collect();
        bytes.map(Cow::Owned).ok_or_else(|| super::database(ServerError::no_such_letter()))
    }
}

/// The bytes of a text in the session's own encoding, or in UTF-8.
pub(super) fn written<'t>(
    alphabet: Option<&Alphabet>,
    text: &'t str,
) -> Result<Cow<'t, [u8]>, sqlx::Error> {
    alphabet.map_or(Ok(Cow::Borrowed(text.as_bytes())), |alphabet| alphabet.written(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows() -> Alphabet {
        Alphabet::of("WIN1252").unwrap()
    }

    fn row(cells: &[Option<&[u8]>]) -> Vec<u8> {
        let mut body = u16::try_from(cells.len()).unwrap().to_be_bytes().to_vec();
        for cell in cells {
            let length = cell.map_or(-1, |cell| i32::try_from(cell.len()).unwrap());
            body.extend_from_slice(&length.to_be_bytes());
            body.extend_from_slice(cell.unwrap_or_default());
        }
        body
    }

    #[test]
    fn each_cell_is_read_by_itself() {
        // The last would be a letter of UTF-8.
        let cells = row(&[Some(b"M\xfcller"), None, Some(b"a"), Some(b"\x80"), Some(b"\xc3\x81")]);
        let read = windows().row(&cells).unwrap();
        let wanted = ["Müller".as_bytes(), b"a", "€".as_bytes(), b"\xc3\x83\xff"].map(Some);
        let [name, a, euro, bad] = wanted;
        assert_eq!(read, row(&[name, None, a, euro, bad]));
        assert!(std::str::from_utf8(bad.unwrap()).is_err());
    }

    #[test]
    fn plain_and_malformed_rows_are_left_as_they_are() {
        assert_eq!(windows().row(&row(&[Some(b"a"), Some(b"")])), None);
        for body in [&b"\0\x01\0\0\0\x09\xfc"[..], b"\0\x01\0\0\0\x01\xfc\xfc", b"\xfc"] {
            assert_eq!(windows().row(body), None, "{body:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let windows = windows();
        for text in ["", "Müller", "D’Œuvre €"] {
            assert_eq!(windows.name(&windows.written(text).unwrap()), text);
        }
        for text in ["Łuk", "\u{81}", "\u{fffd}"] {
            let refused = windows.written(text).unwrap_err();
            let code = refused.as_database_error().and_then(|e| e.code().map(String::from));
            assert_eq!(code.as_deref(), Some("22P05"), "{text}");
        }
    }

    #[test]
    fn the_server_converts_where_every_byte_is_a_letter() {
        for encoding in ["UTF8", "SQL_ASCII", "LATIN1", "LATIN9", "KOI8R", "EUC_JP"] {
            assert!(Alphabet::of(encoding).is_none(), "{encoding}");
        }
        // Of this one the first 32 are control characters.
        assert_eq!(Alphabet::of("ISO_8859_7").unwrap().name(b"\x80\xe1"), "\u{80}α");
    }
}
