//! Search results as a Bundle (FHIR R4, 3.1.1.6), written as bytes.

use std::io::Write as _;

/// The longest bundle, in bytes: twice what the rows of one answer may hold. What is made of them by a mapping
/// with long constants could be of any length, and lies in the gateway's memory.
pub const MAX_BUNDLE: usize = 32 * 1024 * 1024;

/// A searchset under construction.
pub struct SearchSet {
    out: Vec<u8>,
    base: String,
    entries: usize,
}

impl SearchSet {
    /// Begins a bundle; `base` is the FHIR base URL for `fullUrl`.
    pub fn begin(base: &str, total: Option<u64>, links: &[(&str, String)]) -> Self {
        let mut out = Vec::with_capacity(32 * 1024);
        out.extend_from_slice(br#"{"resourceType":"Bundle","type":"searchset""#);
        if let Some(total) = total {
            // Writing to memory cannot fail.
            let _infallible = write!(out, ",\"total\":{total}");
        }
        out.extend_from_slice(br#","link":["#);
        for (at, (relation, url)) in links.iter().enumerate() {
            let url = serde_json::Value::from(url.as_str());
            let comma = if at > 0 { "," } else { "" };
            let _infallible = write!(out, "{comma}{{\"relation\":\"{relation}\",\"url\":{url}}}");
        }
        out.push(b']');
        Self { out, base: base.to_owned(), entries: 0 }
    }

    /// Adds a match. `write` writes the resource and gives its id, or says that there is none; nothing is
    /// added then.
    pub fn entry(&mut self, resource: &str, id: &str, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        self.add("match", resource, id, write);
    }

    /// Adds a resource that is no match itself and belongs beside one, in the same way.
    pub fn include(&mut self, resource: &str, id: &str, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        self.add("include", resource, id, write);
    }

    fn add(
        &mut self,
        mode: &str,
        resource: &str,
        id: &str,
        write: impl FnOnce(&mut Vec<u8>) -> bool,
    ) {
        let before = self.out.len();
        self.out.extend_from_slice(if self.entries == 0 { br#","entry":["# } else { b"," });
        // The id is of FHIR's alphabet, so it needs no escaping.
        for part in ["{\"fullUrl\":\"", &self.base, "/", resource, "/", id, "\",\"resource\":"] {
            self.out.extend_from_slice(part.as_bytes());
        }
        if !write(&mut self.out) {
            self.out.truncate(before);
            return;
        }
        for part in [",\"search\":{\"mode\":\"", mode, "\"}}"] {
            self.out.extend_from_slice(part.as_bytes());
        }
        self.entries += 1;
    }

    /// Adds an outcome for what could not be shown (FHIR R4, 3.1.1.6: mode `outcome`).
    pub fn outcome(&mut self, message: &str) {
        self.out.extend_from_slice(if self.entries == 0 { br#","entry":["# } else { b"," });
        let message = serde_json::Value::from(message);
        let _infallible = write!(
            self.out,
            "{{\"resource\":{{\"resourceType\":\"OperationOutcome\",\"issue\":[{{\"severity\":\"warning\",\
             \"code\":\"processing\",\"diagnostics\":{message}}}]}},\"search\":{{\"mode\":\"outcome\"}}}}"
        );
        self.entries += 1;
    }

    /// Whether it has become too long to be given out.
    pub const fn is_too_long(&self) -> bool {
        self.out.len() > MAX_BUNDLE
    }

    /// The bundle.
    pub fn finish(mut self) -> Vec<u8> {
        if self.entries > 0 {
            self.out.push(b']');
        }
        self.out.push(b'}');
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_is_json_with_and_without_entries() {
        let links = [("self", "http://x/fhir/Patient?name=\"".to_owned())];
        let empty = SearchSet::begin("http://x/fhir", Some(0), &links).finish();
        assert!(serde_json::from_slice::<serde_json::Value>(&empty).is_ok());
        let mut bundle = SearchSet::begin("http://x/fhir", None, &links);
        bundle.entry("Patient", "1", |out| {
            out.extend_from_slice(b"{}");
            true
        });
        bundle.entry("Patient", "2", |_| false);
        bundle.outcome("one row was \"left out\"");
        let value: serde_json::Value = serde_json::from_slice(&bundle.finish()).unwrap();
        assert_eq!(value["entry"].as_array().unwrap().len(), 2);
        assert_eq!(value["entry"][0]["fullUrl"], "http://x/fhir/Patient/1");
    }
}
