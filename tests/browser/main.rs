//! The panel in a real browser: Chromium, against the demo's issuer and against a real Keycloak.

#[cfg(test)]
mod demo;
#[cfg(test)]
mod driver;
#[cfg(test)]
mod keycloak;
#[cfg(test)]
mod pictures;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
mod walk;
