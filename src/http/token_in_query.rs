//! RFC 6750, 2.3: a token in the query, or in a form, is refused, for it ends up in logs and histories.

const NAME: &[u8] = b"access_token";

/// Whether a query or a form has an `access_token`, in whatever spelling: a name may be percent-encoded,
/// and whoever decodes it later would find the token.
pub(super) fn has_token(query: &str) -> bool {
    query.split('&').any(|pair| {
        let name = pair.split('=').next().unwrap_or_default().as_bytes();
        name.len() >= NAME.len() && decoded(name).eq(NAME.iter().copied())
    })
}

/// The bytes a percent-encoded text stands for; a broken escape stands for itself.
fn decoded(text: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let digit = |at: usize| text.get(at).and_then(|b| char::from(*b).to_digit(16));
    let mut at = 0;
    std::iter::from_fn(move || {
        let byte = *text.get(at)?;
        at += 1;
        if byte == b'%'
            && let (Some(high), Some(low)) = (digit(at), digit(at + 1))
        {
            at += 2;
            return u8::try_from(high << 4 | low).ok();
        }
        Some(byte)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_in_every_spelling() {
        for query in [
            "access_token=x",
            "a=b&access_token=x",
            "access_token",
            "%61ccess_token=x",
            "a=b&acces%73_token=x&c",
            "access%5Ftoken=x",
            "access%5ftoken=x",
            "%61%63%63%65%73%73%5F%74%6F%6B%65%6E=x",
        ] {
            assert!(has_token(query), "{query}");
        }
        for query in [
            "",
            "name=access_token",
            "xaccess_token=x",
            "access_token2=x",
            "%access_token",
            "access_toke%",
        ] {
            assert!(!has_token(query), "{query}");
        }
    }
}
