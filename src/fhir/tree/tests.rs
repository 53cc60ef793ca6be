use super::*;
use proptest::prelude::*;

fn read(text: &str) -> Result<Json, &'static str> {
    Json::parse(text.as_bytes()).map_err(|fault| fault.why)
}

#[test]
fn digits_order_and_letters_stay() {
    let text =
        r#" {"b":[1.50,-0,1e3],"a":"ñ\u00e9\ud83d\ude00\/\n","c":{},"d":null,"e":[true,false]} "#;
    let tree = read(text).unwrap();
    assert_eq!(tree.get("a").unwrap().text(), Some("ñé😀/\n"));
    assert_eq!(tree.get("b").unwrap().items()[0], Json::Number("1.50".to_owned()));
    let mut out = Vec::new();
    tree.write(&mut out);
    let want = "{\"b\":[1.50,-0,1e3],\"a\":\"ñé😀/\\n\",\"c\":{},\"d\":null,\"e\":[true,false]}";
    assert_eq!(String::from_utf8(out).unwrap(), want);
}

#[test]
fn what_is_dangerous_is_refused() {
    let deep = "[".repeat(70) + &"]".repeat(70);
    let long = "1".repeat(61);
    for bad in [
        "",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "01",
        "1.",
        "+1",
        ".5",
        "1e",
        "tru",
        "\"",
        "\"\\x\"",
        "\"\\u0000\"",
        "\"\\b\"",
        "\"\u{1}\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "1 2",
        "{\"a\":1,\"a\":1}",
        "{\"a\":1,\"\\u0061\":2}",
        "\u{feff}{}",
        "NaN",
        "'a'",
        "// x\n{}",
        &deep,
        &long,
    ] {
        assert!(read(bad).is_err(), "{bad:?}");
    }
    assert!(Json::parse(b"\"\xff\"").is_err());
    assert_eq!(read("{\"a\":1,\"a\":1}"), Err("a name is there twice in one object"));
}

proptest! {
    #[test]
    fn it_reads_what_serde_reads_and_nothing_else(text in "[\\[\\]{}\",:0-9a-eE.+\\- \\\\untrlfs]{0,24}") {
        let ours = Json::parse(text.as_bytes());
        let theirs: Result<serde_json::Value, _> = serde_json::from_str(&text);
        if let Ok(tree) = ours {
            let mut out = Vec::new();
            tree.write(&mut out);
            let again: serde_json::Value = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(again, theirs.unwrap());
        }
    }

    #[test]
    fn nothing_panics(bytes in any::<Vec<u8>>()) {
        let _ = Json::parse(&bytes);
    }
}
