//! Traces as OTLP/HTTP takes them, in its JSON encoding (OTLP 1.x, "JSON Protobuf Encoding"): ids in
//! hexadecimal, 64-bit numbers as texts, enumerations as numbers.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::plans::End;
use super::trace::{Finished, Statement};

/// `SPAN_KIND_SERVER` and `SPAN_KIND_CLIENT`.
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

/// An `ExportTraceServiceRequest` of these requests, of the gateway of that name.
pub fn export(finished: &[Finished], instance: &str) -> Value {
    let spans: Vec<Value> = finished.iter().flat_map(spans).collect();
    let resource = [
        text("service.name", "wardgate"),
        text("service.version", env!("CARGO_PKG_VERSION")),
        text("service.instance.id", instance),
    ];
    let scope = json!({ "name": "wardgate", "version": env!("CARGO_PKG_VERSION") });
    json!({ "resourceSpans": [{
        "resource": { "attributes": resource },
        "scopeSpans": [{ "scope": scope, "spans": spans }],
    }] })
}

/// A request's span, and one below it for each of its statements.
fn spans(finished: &Finished) -> Vec<Value> {
    let own = finished.request.into_bytes();
    let trace = hex(&finished.caller.map_or(own, |caller| caller.trace));
    // The request's id is random where the span's is taken from it, and a span's id need be unlike others of
    // its trace only.
    let mut root = [0; 8];
    root.copy_from_slice(&own[8..]);
    let number = u64::from_be_bytes(root);
    let ended = nanos(finished.ended.as_millis());
    let begun = ended.saturating_sub(finished.took.as_nanos());
    let mut attributes = vec![
        text("http.request.method", &finished.method),
        text("http.route", &finished.route),
        json!({ "key": "http.response.status_code", "value": { "intValue": finished.status.to_string() } }),
        text("wardgate.request.id", &finished.request.to_string()),
    ];
    if let Some(tenant) = finished.tenant {
        attributes.push(text("wardgate.tenant.id", &tenant.to_string()));
    }
    if let Some(decision) = finished.decision {
        attributes.push(text("wardgate.decision", decision));
    }
    let mut span = json!({
        "traceId": trace, "spanId": hex(&root), "kind": SERVER,
        "name": format!("{} {}", finished.method, finished.route),
        "startTimeUnixNano": begun.to_string(), "endTimeUnixNano": ended.to_string(),
        "attributes": attributes,
    });
    if let Some(caller) = finished.caller {
        span["parentSpanId"] = hex(&caller.span).into();
    }
    if finished.status >= 500 {
        span["status"] = json!({ "code": ERROR });
    }
    let mut all = vec![span];
    for (at, statement) in finished.statements.iter().enumerate() {
        let id = number.wrapping_add(at as u64 + 1).max(1).to_be_bytes();
        let mut below = below(statement, begun);
        below["traceId"] = trace.clone().into();
        below["spanId"] = hex(&id).into();
        below["parentSpanId"] = hex(&root).into();
        if let Some(tenant) = finished.tenant
            && let Some(attributes) = below["attributes"].as_array_mut()
        {
            attributes.push(text("wardgate.tenant.id", &tenant.to_string()));
        }
        all.push(below);
    }
    all
}

fn below(statement: &Statement, request: u128) -> Value {
    let begun = request + statement.after.as_nanos();
    let ended = begun + statement.took.as_nanos();
    let end = match statement.end {
        End::Done => "done",
        End::Failed => "failed",
        End::CutOff => "cut_off",
    };
    let mut span = json!({
        "kind": CLIENT, "name": statement.plan,
        "startTimeUnixNano": begun.to_string(), "endTimeUnixNano": ended.to_string(),
        "attributes": [text("wardgate.plan", &statement.plan), text("wardgate.end", end)],
    });
    if statement.end != End::Done {
        span["status"] = json!({ "code": ERROR });
    }
    span
}

fn nanos(millis: i64) -> u128 {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0)).as_nanos()
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}
