//! The panel in a real browser: Chromium, against the demo's issuer and against a real Keycloak.

#[cfg(test)]
mod demo;
#[cfg(test)]
mod driver;
#[cfg(test)]
mod pictures;
