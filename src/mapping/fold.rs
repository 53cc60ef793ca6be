//! Case and accents ignored, the same way on every engine.
//!
//! No two engines fold alike: PostgreSQL's `lower` depends on the locale, MySQL's collations differ by
//! version, SQLite folds ASCII only. So the column is left as it is and the *pattern* names every form
//! of each letter, from one table. Texts that stand in a mapping are folded by the same table.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::plan::Alike;

/// Each base letter with the forms that count as it, capitals included; its own capital is implied.
/// From the canonical decompositions of Latin-1 Supplement, Latin Extended-A and -B and Latin Extended
/// Additional, with the letters struck through that do not decompose (ł, ø, đ, …).
#[rustfmt::skip]
const LETTERS: &[(char, &str)] = &[
    ('a', "ÀÁÂÃÄÅàáâãäåĀāĂăĄąǍǎǞǟǠǡǺǻȀȁȂȃȦȧḀḁẠạẢảẤấẦầẨẩẪẫẬậẮắẰằẲẳẴẵẶặ\u{212b}"),
    ('b', "ƀḂḃḄḅḆḇ"),
    ('c', "ÇçĆćĈĉĊċČčḈḉ"),
    ('d', "ĎďĐđḊḋḌḍḎḏḐḑḒḓ"),
    ('e', "ÈÉÊËèéêëĒēĔĕĖėĘęĚěȄȅȆȇȨȩḔḕḖḗḘḙḚḛḜḝẸẹẺẻẼẽẾếỀềỂểỄễỆệ"),
    ('f', "Ḟḟ"),
    ('g', "ĜĝĞğĠġĢģǤǥǦǧǴǵḠḡ"),
    ('h', "ĤĥĦħȞȟḢḣḤḥḦḧḨḩḪḫẖ"),
    ('i', "ÌÍÎÏìíîïĨĩĪīĬĭĮįİıǏǐȈȉȊȋḬḭḮḯỈỉỊị"),
    ('j', "Ĵĵǰ"),
    ('k', "ĶķǨǩḰḱḲḳḴḵ\u{212a}"),
    ('l', "ĹĺĻļĽľŁłḶḷḸḹḺḻḼḽ"),
    ('m', "ḾḿṀṁṂṃ"),
    ('n', "ÑñŃńŅņŇňǸǹṄṅṆṇṈṉṊṋ"),
    ('o', "ÒÓÔÕÖØòóôõöøŌōŎŏŐőƠơǑǒǪǫǬǭǾǿȌȍȎȏȪȫȬȭȮȯȰȱṌṍṎṏṐṑṒṓỌọỎỏỐốỒồỔổỖỗỘộỚớỜờỞởỠỡỢợ"),
    ('p', "ṔṕṖṗ"),
    ('r', "ŔŕŖŗŘřȐȑȒȓṘṙṚṛṜṝṞṟ"),
    ('s', "ŚśŜŝŞşŠšſȘșṠṡṢṣṤṥṦṧṨṩẛ"),
    ('t', "ŢţŤťŦŧȚțṪṫṬṭṮṯṰṱẗ"),
    ('u', "ÙÚÛÜùúûüŨũŪūŬŭŮůŰűŲųƯưǓǔǕǖǗǘǙǚǛǜȔȕȖȗṲṳṴṵṶṷṸṹṺṻỤụỦủỨứỪừỬửỮữỰự"),
    ('v', "ṼṽṾṿ"),
    ('w', "ŴŵẀẁẂẃẄẅẆẇẈẉẘ"),
    ('x', "ẊẋẌẍ"),
    ('y', "ÝýÿŶŷŸȲȳẎẏẙỲỳỴỵỶỷỸỹ"),
    ('z', "ŹźŻżŽžƵƶẐẑẒẓẔẕ"),
    ('æ', "ÆǢǣǼǽ"),
];

/// Greek and Cyrillic capitals that count as their small letters.
const CAPITALS: &str =
    "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΆΈΉΊΌΎΏΪΫАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯЁЂЃЄЅІЇЈЉЊЋЌЎЏҐ";

/// Every letter that an index of folded texts gives another for, and that other, in the same places: what
/// SQL's `translate` takes. Such an index is made by people and lasts, so a letter may be added here, and
/// none may go or move, only where the indexes are made anew.
pub fn translation() -> (String, String) {
    let (mut from, mut to) = (String::with_capacity(1500), String::with_capacity(800));
    let ascii = ('A'..='Z').map(|c| (c, c.to_ascii_lowercase()));
    let latin = LETTERS.iter().flat_map(|(base, forms)| forms.chars().map(|c| (c, *base)));
    let others = CAPITALS.chars().map(|c| (c, fold_char(c)));
    for (form, base) in ascii.chain(latin).chain(others) {
        from.push(form);
        to.push(base);
    }
    (from, to)
}

/// The beginning of a folded text of which such an index knows every form of every letter.
pub fn translated(folded: &str) -> &str {
    let known = |c: &char| {
        let forms = forms(*c);
        let listed = |form: &char| form.is_ascii() || CAPITALS.contains(*form);
        LETTERS.iter().any(|(base, _)| base == c) || forms.iter().skip(1).all(listed)
    };
    let end = folded.char_indices().find(|(_, c)| !known(c)).map_or(folded.len(), |(at, _)| at);
    folded.get(..end).unwrap_or_default()
}

/// A combining accent: no letter of its own.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

/// The letter a character counts as.
fn fold_char(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    if let Some((base, _)) = LETTERS.iter().find(|(_, forms)| forms.contains(c)) {
        return *base;
    }
    // Other scripts: a capital counts as its small letter where the two belong to each other alone.
    match single(c.to_lowercase()) {
        Some(small) if single(small.to_uppercase()) == Some(c) => small,
        _ => c,
    }
}

/// The capital of a letter that has exactly one.
pub fn capital(c: char) -> char {
    single(c.to_uppercase()).unwrap_or(c)
}

/// The small letter of a capital that has exactly one.
pub fn small(c: char) -> char {
    single(c.to_lowercase()).unwrap_or(c)
}

/// A text as far as `alike` tells letters apart.
pub fn told(text: &str, alike: Alike) -> String {
    match alike {
        Alike::Exact => text.to_owned(),
        Alike::Folded => fold(text),
        Alike::Capital => text.chars().map(capital).collect(),
        Alike::Small => text.chars().map(small).collect(),
    }
}

/// Every character that counts as `base`; none where nothing comes to it.
pub fn alike_forms(base: char, alike: Alike) -> Vec<char> {
    let (to, others) = match alike {
        Alike::Exact => return vec![base],
        Alike::Folded => return forms(base),
        Alike::Capital => (capital(base), &CASES.0),
        Alike::Small => (small(base), &CASES.1),
    };
    let itself = (to == base).then_some(base).into_iter();
    itself.chain(others.get(&base).into_iter().flatten().copied()).collect()
}

type Others = BTreeMap<char, Vec<char>>;

/// For each capital and for each small letter, the other letters that become it.
static CASES: LazyLock<(Others, Others)> = LazyLock::new(|| {
    let of = |to: fn(char) -> char| {
        let mut others = Others::new();
        for c in ('\0'..LAST_CASED).filter(|c| to(*c) != *c) {
            others.entry(to(c)).or_default().push(c);
        }
        others
    };
    (of(capital), of(small))
});

/// Behind all letters that have a case.
const LAST_CASED: char = '\u{20000}';

fn single(mut chars: impl Iterator<Item = char>) -> Option<char> {
    let first = chars.next()?;
    chars.next().is_none().then_some(first)
}

/// A text as folded search sees it: small letters without accents. Two texts match when their folded
/// forms do. Accents written as combining marks of their own are dropped from what is searched for.
pub fn fold(text: &str) -> String {
    text.chars().filter(|c| !is_mark(*c)).map(fold_char).collect()
}

/// Every character that folds to `base`, itself first.
pub fn forms(base: char) -> Vec<char> {
    let mut all = vec![base];
    let capital = single(base.to_uppercase());
    if let Some(capital) = capital.filter(|c| *c != base && fold_char(*c) == base) {
        all.push(capital);
    }
    for c in LETTERS.iter().filter(|(b, _)| *b == base).flat_map(|(_, forms)| forms.chars()) {
        if !all.contains(&c) {
            all.push(c);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_lose_case_and_accents() {
        for (text, want) in [
            ("MUÑOZ", "munoz"),
            ("Mun\u{303}oz", "munoz"),
            ("Łódź", "lodz"),
            ("Nguyễn", "nguyen"),
            ("ΟΔ", "οδ"),
            ("Straße 7%", "straße 7%"),
        ] {
            assert_eq!(fold(text), want);
        }
    }

    #[test]
    fn every_letter_is_among_those_of_its_capital_and_of_its_small_letter() {
        for c in '\0'..=char::MAX {
            assert!(alike_forms(capital(c), Alike::Capital).contains(&c), "{c:?}");
            assert!(alike_forms(small(c), Alike::Small).contains(&c), "{c:?}");
            assert!(c < LAST_CASED || capital(c) == c && small(c) == c, "{c:?}");
            // An index that knows no case finds what comes to a letter of ASCII.
            for cased in [capital(c), small(c)] {
                assert!(!cased.is_ascii() || fold_char(c) == fold_char(cased), "{c:?}");
            }
        }
        assert_eq!(alike_forms('S', Alike::Capital), ['S', 's', 'ſ']);
        assert_eq!(alike_forms('k', Alike::Small), ['k', 'K', '\u{212a}']);
        assert!(alike_forms('s', Alike::Capital).is_empty());
        assert_eq!(alike_forms('ß', Alike::Capital), ['ß'], "it has no capital of one letter");
    }

    #[test]
    fn the_cookbook_has_the_letters_of_the_index() {
        let (from, to) = translation();
        let index = format!("translate(btrim(family_name), '{from}', '{to}') text_pattern_ops");
        assert!(include_str!("../../docs/mapping/COOKBOOK.md").contains(&index));
    }

    #[test]
    fn an_index_of_folded_texts_gives_each_letter_as_it_is_folded() {
        let (from, to) = translation();
        assert_eq!(from.chars().count(), to.chars().count());
        let distinct: std::collections::BTreeSet<char> = from.chars().collect();
        assert_eq!(distinct.len(), from.chars().count(), "the first of two would count");
        for (form, base) in from.chars().zip(to.chars()) {
            assert_eq!(fold_char(form), base, "{form}");
        }
        // What is taken for known is known with all its forms.
        for c in ('\u{20}'..'\u{2200}').filter(|c| !is_mark(*c) && fold_char(*c) == *c) {
            let all = forms(c).into_iter().skip(1).all(|form| from.contains(form));
            assert_eq!(!translated(&c.to_string()).is_empty(), all, "{c:?}");
        }
        assert_eq!(translated("muller ѐ"), "muller ", "a capital that is not listed");
        assert_eq!(translated("петров-οδ 7"), "петров-οδ 7");
    }

    #[test]
    fn every_form_folds_to_its_letter_and_only_there() {
        for (base, listed) in LETTERS {
            assert_eq!(fold_char(*base), *base);
            for c in listed.chars() {
                assert_eq!(fold_char(c), *base, "{c}");
                assert!(forms(*base).contains(&c));
            }
        }
        // Whatever folds to a letter is in that letter's pattern: the two directions agree.
        for c in ('\u{20}'..'\u{2200}').filter(|c| !is_mark(*c)) {
            assert!(forms(fold_char(c)).contains(&c), "{c:?} {:x}", u32::from(c));
        }
    }
}
