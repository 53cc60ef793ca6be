//! The panel's two cookies.

use axum::http::{HeaderMap, HeaderValue, header};

use super::Panel;
use crate::base::SecretText;

/// Which cookie.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cookie {
    /// Names the session.
    Session,
    /// Names the sign-in under way.
    SignIn,
}

impl Panel {
    /// `__Host-` cookies cannot be planted by another host of the same domain, and need TLS. A panel on
    /// plain HTTP exists on loopback only; its cookies go without the prefix and without `Secure`.
    fn cookie_name(&self, cookie: Cookie) -> &'static str {
        match (self.0.origin.starts_with("https://"), cookie) {
            (true, Cookie::Session) => "__Host-wardgate",
            (true, Cookie::SignIn) => "__Host-wardgate-sign-in",
            (false, Cookie::Session) => "wardgate-loopback",
            (false, Cookie::SignIn) => "wardgate-loopback-sign-in",
        }
    }

    /// The cookie's value, if the browser sent exactly one.
    pub(super) fn cookie(&self, headers: &HeaderMap, cookie: Cookie) -> Option<String> {
        let name = self.cookie_name(cookie);
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|p| p.trim().split_once('='));
        let mut values = pairs.filter(|(found, _)| *found == name).map(|(_, value)| value);
        let value = values.next()?;
        values.next().is_none().then(|| value.to_owned())
    }

    /// A cookie for this browser's present run; `None` takes it away. `Lax` and not `Strict`: the way back
    /// from the issuer begins at another site.
    pub(super) fn set_cookie(&self, cookie: Cookie, value: Option<&SecretText>) -> HeaderValue {
        let secure = if self.0.origin.starts_with("https://") { "; Secure" } else { "" };
        let end = if value.is_none() { "; Max-Age=0" } else { "" };
        let text = format!(
            "{}={}; Path=/; HttpOnly; SameSite=Lax{secure}{end}",
            self.cookie_name(cookie),
            value.map_or("", SecretText::expose)
        );
        let mut header = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
        header.set_sensitive(true);
        header
    }
}
