//! Rows 1 to 13 and 15: how a token is presented, its form and its header.

use aws_lc_rs::hmac;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use crate::idp::{SigningKey, b64};
use crate::world::Answer::{Good, InvalidRequest, InvalidToken, NoToken};
use crate::world::{World, authorization, bearer, deadline, expect};

#[tokio::test]
async fn presenting() {
    let world = World::new().await;
    let token = world.token(|_| {});
    expect("1", "none", NoToken, &world.ask(&HeaderMap::new()).await);
    for (row, name, value, answer) in [
        ("2", "basic", "Basic dXNlcjpwYXNz".to_owned(), NoToken),
        ("2", "negotiate", "Negotiate".to_owned(), NoToken),
        ("2", "empty header", String::new(), NoToken),
        ("2", "lower case", format!("bearer {token}"), Good),
        ("2", "mixed case", format!("BeArEr {token}"), Good),
        ("2", "nothing after it", "Bearer".to_owned(), InvalidRequest),
        ("2", "only a space", "Bearer ".to_owned(), InvalidRequest),
        ("2", "two spaces", format!("Bearer  {token}"), InvalidRequest),
        ("4", "tab", format!("Bearer\t{token}"), InvalidRequest),
        ("4", "non-ASCII", format!("Bearer {token}é"), InvalidRequest),
        (
            "4",
            "just above the limit",
            format!("Bearer {}", "a".repeat(16 * 1024 + 1)),
            InvalidRequest,
        ),
        ("4", "at the limit", format!("Bearer {}", "a".repeat(16 * 1024)), InvalidToken),
        ("4", "1 MiB", format!("Bearer {}", "a".repeat(1 << 20)), InvalidRequest),
        ("6", "trailing space", format!("Bearer {token} "), InvalidToken),
        ("25", "DPoP scheme", format!("DPoP {token}"), InvalidToken),
    ] {
        expect(row, name, answer, &world.ask(&authorization(&value)).await);
    }
    let invalid_bytes = authorization(b"Bearer \xff\xfe");
    expect("4", "not UTF-8", InvalidRequest, &world.ask(&invalid_bytes).await);
    let mut two = bearer(&token);
    two.append(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).unwrap());
    expect("3", "two headers", InvalidRequest, &world.ask(&two).await);
    let query = world.authority.authenticate(&bearer(&token), true, deadline()).await;
    expect("3", "header and query", InvalidRequest, &query);
    let empty = HeaderMap::new();
    let query = world.authority.authenticate(&empty, true, deadline()).await;
    expect("3", "query alone", InvalidRequest, &query);
    for bad in ["Bearer a\r\nX: y", "Bearer a\0b"] {
        assert!(HeaderValue::from_bytes(bad.as_bytes()).is_err(), "no header can hold it");
    }
}

#[tokio::test]
async fn segments_and_base64() {
    let world = World::new().await;
    let good = world.token(|_| {});
    let parts: Vec<_> = good.split('.').collect();
    let (h, p, s) = (parts[0], parts[1], parts[2]);
    let last = s.as_bytes()[s.len() - 1];
    // 256 bytes leave four unused bits in the last character.
    let stray = char::from(if last == b'A' { b'B' } else { last + 1 });
    let rows = vec![
        ("5", "one segment", h.to_owned(), InvalidToken),
        ("5", "two segments", format!("{h}.{p}"), InvalidToken),
        ("5", "four segments", format!("{good}.{s}"), InvalidToken),
        ("5", "five segments", format!("{h}.{p}.{s}.{p}.{s}"), InvalidToken),
        ("5", "six segments", format!("{good}.{good}"), InvalidToken),
        ("5", "no header", format!(".{p}.{s}"), InvalidToken),
        ("5", "no payload", format!("{h}..{s}"), InvalidToken),
        ("5", "no signature", format!("{h}.{p}."), InvalidToken),
        ("5", "only dots", "..".to_owned(), InvalidToken),
        (
            "5",
            "JSON serialisation",
            format!(r#"{{"protected":"{h}","payload":"{p}"}}"#),
            InvalidToken,
        ),
        ("6", "padding on the signature", format!("{h}.{p}.{s}=="), InvalidToken),
        ("6", "padding on the header", format!("{h}=.{p}.{s}"), InvalidToken),
        ("6", "standard alphabet", format!("{h}.{p}.{}+/", &s[..s.len() - 2]), InvalidToken),
        ("6", "space inside", format!("{h}.{p} .{s}"), InvalidToken),
        ("6", "stray trailing bits", format!("{h}.{p}.{}{stray}", &s[..s.len() - 1]), InvalidToken),
        ("6", "truncated signature", format!("{h}.{p}.{}", &s[..s.len() - 4]), InvalidToken),
        ("6", "comma", format!("{good},{good}"), InvalidToken),
    ];
    world.table(&rows).await;
}

#[tokio::test]
async fn strict_json() {
    let world = World::new().await;
    let key = &world.rsa;
    let header = key.header().to_string();
    let payload = world.claims().to_string();
    let inside = |extra: &str| format!("{}{extra}}}", &payload[..payload.len() - 1]);
    let deep =
        |depth: usize| inside(&format!(r#","x":{}1{}"#, "[".repeat(depth), "]".repeat(depth)));
    let claims = |payload: &str| key.token_of_text(&header, payload);
    let headed = |header: &str| key.token_of_text(header, &payload);
    let rows = vec![
        ("7", "payload is text", claims("\"hello\""), InvalidToken),
        ("7", "payload is an array", claims("[]"), InvalidToken),
        ("7", "payload is null", claims("null"), InvalidToken),
        ("7", "payload is no JSON", claims("{"), InvalidToken),
        ("7", "two values", claims(&format!("{payload}{payload}")), InvalidToken),
        ("7", "byte order mark", claims(&format!("\u{feff}{payload}")), InvalidToken),
        ("7", "invalid UTF-8", key.token_of_text(&header, b"{\"iss\":\"\xff\"}"), InvalidToken),
        ("7", "depth 17", claims(&deep(17)), InvalidToken),
        ("7", "depth 5,000", claims(&deep(5_000)), InvalidToken),
        (
            "7",
            "header of depth 5,000",
            headed(&format!("{}{}", "[".repeat(5000), "]".repeat(5000))),
            InvalidToken,
        ),
        ("7", "client_id twice", claims(&inside(r#","client_id":"hospital-a""#)), InvalidToken),
        (
            "7",
            "client_id twice, escaped",
            claims(&inside(r#","client\u005fid":"hospital-b""#)),
            InvalidToken,
        ),
        (
            "7",
            "role list twice",
            claims(&payload.replace(r#""realm_access":{"#, r#""realm_access":{"roles":[],"#)),
            InvalidToken,
        ),
        (
            "7",
            "alg twice",
            headed(r#"{"alg":"none","alg":"RS256","typ":"JWT","kid":"rsa"}"#),
            InvalidToken,
        ),
        ("7", "header is no object", headed("\"RS256\""), InvalidToken),
        ("7", "more white space", claims(&payload.replace(',', " ,\n ")), Good),
        ("7", "depth within bounds", claims(&deep(10)), Good),
    ];
    world.table(&rows).await;
}

/// A token over the same bytes with a header of one's own choice and the signature kept or not.
fn unsigned(world: &World, header: &Value, signature: &[u8]) -> String {
    format!("{}.{}.{}", b64(header.to_string()), b64(world.claims().to_string()), b64(signature))
}

#[tokio::test]
async fn algorithms() {
    let world = World::new().await;
    let mut rows = Vec::new();
    for alg in ["none", "None", "NONE", "nOnE", "", "RS256 ", "rs256", "HS256", "HS512", "ES256K"] {
        let header = json!({"alg": alg, "typ": "JWT", "kid": "rsa"});
        rows.push((
            "8",
            "alg without signature",
            format!("{}.", unsigned(&world, &header, b"")),
            InvalidToken,
        ));
        rows.push(("8", "alg, any signature", unsigned(&world, &header, &[0; 256]), InvalidToken));
        rows.push((
            "8",
            "alg, good signature",
            world.token_with_header(&world.rsa, |h| h["alg"] = json!(alg)),
            InvalidToken,
        ));
    }
    for alg in [json!(256), json!(null), json!(["RS256"]), json!({"RS256": 1}), json!(true)] {
        rows.push((
            "8",
            "alg of another type",
            world.token_with_header(&world.rsa, |h| h["alg"] = alg),
            InvalidToken,
        ));
    }
    let missing = world.token_with_header(&world.rsa, |h| {
        h.as_object_mut().unwrap().remove("alg");
    });
    rows.push(("8", "alg missing", missing, InvalidToken));
    // The public key taken for a shared secret, in every spelling an attacker could fetch.
    let public = world.rsa.public_bytes();
    let pem = |label: &str| {
        use base64::Engine as _;
        let body = base64::engine::general_purpose::STANDARD.encode(&public);
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n").into_bytes()
    };
    let modulus = world.rsa.jwk()["n"].as_str().unwrap().as_bytes().to_vec();
    for secret in [
        pem("PUBLIC KEY"),
        pem("RSA PUBLIC KEY"),
        public.clone(),
        world.rsa.jwk().to_string().into_bytes(),
        modulus,
        Vec::new(),
    ] {
        let header = json!({"alg": "HS256", "typ": "JWT", "kid": "rsa"});
        let signed = format!("{}.{}", b64(header.to_string()), b64(world.claims().to_string()));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), signed.as_bytes());
        rows.push(("9", "HS256 by the public key", format!("{signed}.{}", b64(tag)), InvalidToken));
    }
    for (key, alg) in [
        (&world.pss, "RS256"),
        (&world.pss, "RS512"),
        (&world.rsa, "PS256"),
        (&world.rsa, "RS512"),
        (&world.ec, "ES384"),
        (&world.ec, "RS256"),
        (&world.ed, "ES256"),
    ] {
        // Signed as the header says where the key can, under the name of a key pinned to another.
        let signer = match alg {
            "RS256" | "RS512" | "PS256" if key.alg.ends_with("S256") && key.alg != "ES256" => {
                key.named(&key.kid, alg)
            }
            _ => key.clone(),
        };
        let token =
            signer.token(&json!({"alg": alg, "typ": "JWT", "kid": key.kid}), &world.claims());
        rows.push(("10", "alg is not the key's", token, InvalidToken));
    }
    for key in [&world.rsa, &world.pss, &world.ec, &world.ed] {
        rows.push(("10", "the key's own alg", world.token_with_header(key, |_| {}), Good));
    }
    world.table(&rows).await;
}

#[tokio::test]
async fn header_members() {
    let world = World::new().await;
    let trap = Trap::start().await;
    let attacker = SigningKey::generate("rsa", "RS256");
    let mut rows = Vec::new();
    for (row, member, value) in [
        ("11", "jwk", attacker.jwk()),
        ("11", "jku", json!(format!("{}/keys", trap.base))),
        ("11", "x5u", json!(format!("{}/chain", trap.base))),
        ("11", "x5c", json!([b64(attacker.public_bytes())])),
        ("12", "crit", json!(["exp"])),
        ("12", "crit", json!([])),
        ("12", "crit", json!(["unheard-of"])),
        ("12", "b64", json!(false)),
        ("5", "enc", json!("A256GCM")),
        ("5", "zip", json!("DEF")),
    ] {
        let add = |header: &mut Value| header[member] = value.clone();
        rows.push((row, member, world.token_with_header(&world.rsa, add), InvalidToken));
        rows.push((row, member, world.token_with_header(&attacker, add), InvalidToken));
    }
    rows.push((
        "12",
        "crit b64",
        world.token_with_header(&world.rsa, |h| {
            h["crit"] = json!(["b64"]);
            h["b64"] = json!(false);
        }),
        InvalidToken,
    ));
    for (name, kid) in [
        ("10 KiB", json!("k".repeat(10 * 1024))),
        ("path", json!("../../etc/passwd")),
        ("SQL", json!("' OR 1=1--")),
        ("number", json!(1)),
        ("null", json!(null)),
        ("empty", json!("")),
        ("array", json!(["rsa"])),
        ("other case", json!("RSA")),
        ("space", json!("rsa ")),
    ] {
        rows.push((
            "13",
            name,
            world.token_with_header(&world.rsa, |h| h["kid"] = kid),
            InvalidToken,
        ));
    }
    rows.push((
        "13",
        "missing",
        world.token_with_header(&world.rsa, |h| {
            h.as_object_mut().unwrap().remove("kid");
        }),
        InvalidToken,
    ));
    rows.push((
        "13",
        "kid of another realm",
        world.token_with_header(&world.operator, |_| {}),
        InvalidToken,
    ));
    for (name, typ, answer) in [
        ("at+jwt", json!("at+jwt"), Good),
        ("mixed case", json!("at+JWT"), Good),
        ("application/at+jwt", json!("application/at+jwt"), Good),
        ("logout+jwt", json!("logout+jwt"), InvalidToken),
        ("dpop+jwt", json!("dpop+jwt"), InvalidToken),
        ("secevent+jwt", json!("secevent+jwt"), InvalidToken),
        ("JOSE", json!("JOSE"), InvalidToken),
        ("empty", json!(""), InvalidToken),
        ("number", json!(1), InvalidToken),
        ("null", json!(null), InvalidToken),
    ] {
        rows.push(("24", name, world.token_with_header(&world.rsa, |h| h["typ"] = typ), answer));
    }
    world.table(&rows).await;
    assert_eq!(trap.hits(), 0, "nothing a token names is fetched");
}

/// The order of the curve P-256 (FIPS 186-4, D.1.2.3).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
    0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// Row 15 through whole tokens.
#[tokio::test]
async fn ecdsa_signatures() {
    let world = World::new().await;
    let token = world.token_with_header(&world.ec, |_| {});
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let raw = {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(signature).unwrap()
    };
    let with = |signature: &[u8]| format!("{signed}.{}", b64(signature));
    let der = [&[0x30, 68, 2, 32][..], &raw[..32], &[2, 32], &raw[32..]].concat();
    let rows = vec![
        ("15", "good", with(&raw), Good),
        ("15", "r = s = 0", with(&[0; 64]), InvalidToken),
        ("15", "r = s = 1", with(&[&[0; 31][..], &[1], &[0; 31], &[1]].concat()), InvalidToken),
        ("15", "r and s all ones", with(&[0xff; 64]), InvalidToken),
        ("15", "r is the order", with(&[&ORDER[..], &raw[32..]].concat()), InvalidToken),
        ("15", "s is the order", with(&[&raw[..32], &ORDER].concat()), InvalidToken),
        ("15", "DER", with(&der), InvalidToken),
        ("15", "one byte short", with(&raw[..63]), InvalidToken),
        ("15", "one byte long", with(&[&raw[..], &[0]].concat()), InvalidToken),
        ("15", "swapped halves", with(&[&raw[32..], &raw[..32]].concat()), InvalidToken),
    ];
    world.table(&rows).await;
}

/// A listener that counts who connects.
struct Trap {
    base: String,
    hits: std::sync::Arc<std::sync::atomic::AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Trap {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let hits = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = hits.clone();
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                drop(socket);
            }
        });
        Self { base, hits, task }
    }

    fn hits(&self) -> usize {
        self.hits.load(std::sync::atomic::Ordering::SeqCst)
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        self.task.abort();
    }
}
