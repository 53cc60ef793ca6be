//! Where the parts of a date stand in a text, so that a condition can look at them one by one.

use crate::fhir::primitive::Precision;

use super::format::{DateFormat, Field, Token, known};

/// Where the parts of a date stand in a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Where each of [`Field`] begins, counted from 1.
    pub fields: [Option<u32>; 7],
    /// How many digits of each stand there: of a year the last ones, of a time the first ones, zeros for the rest.
    pub widths: [u32; 7],
    /// What stands between them.
    pub literals: Vec<(u32, char)>,
    /// How many characters there are.
    pub length: u32,
    pub precision: Precision,
    pub utc: bool,
    /// How many years its years are ahead of ours.
    pub ahead: i16,
    /// What does not stand at a place.
    pub unlike: Option<(u32, String)>,
}

/// The digits of each of [`Field`] in full.
pub const WIDTHS: [u32; 7] = [4, 2, 2, 2, 2, 2, 3];

impl Default for Layout {
    fn default() -> Self {
        let precision = Precision::Year;
        Self {
            fields: [None; 7],
            widths: WIDTHS,
            literals: Vec::new(),
            length: 0,
            precision,
            utc: false,
            ahead: 0,
            unlike: None,
        }
    }
}

impl Layout {
    /// The layout of a time alone: `HH:mm[:ss]`.
    pub fn of_time(tokens: &[Token]) -> Option<Self> {
        let mut with_date = DateFormat::parse("yyyyMMdd").ok()?;
        with_date.tokens.extend_from_slice(tokens);
        with_date.check().ok()?;
        let mut layout = with_date.layouts()?.pop()?;
        for place in layout.fields.iter_mut().skip(3).flatten() {
            *place -= 8;
        }
        for (place, _) in &mut layout.literals {
            *place -= 8;
        }
        layout.fields[..3].fill(None);
        layout.length -= 8;
        Some(layout)
    }
}

/// The layouts of ISO 8601 as [`DateIn::Iso`](super::format::DateIn::Iso) reads it, but for offsets other than `Z` and fractions.
pub fn iso_layouts() -> Vec<Layout> {
    let texts = ["yyyy-MM-ddTHH:mm", "yyyy-MM-ddTHH:mm:ss", "yyyy-MM-ddTHH:mm:ssZ"];
    let formats = texts.iter().filter_map(|text| DateFormat::parse(text).ok());
    let mut found: Vec<Layout> = Vec::new();
    for layout in formats.filter_map(|f| f.layouts()).flatten() {
        let same = |known: &Layout| known.length == layout.length;
        if !found.iter().any(same) {
            found.push(layout);
        }
    }
    found
}

impl DateFormat {
    /// Every way a cell of this format may look, shortest first; `None` where a part has no fixed place
    /// or is finer than a second.
    pub fn layouts(&self) -> Option<Vec<Layout>> {
        let mut found = Vec::new();
        let mut layout = Layout { ahead: self.ahead(), ..Layout::default() };
        let mut seen = [false; 7];
        for (number, token) in self.tokens.iter().enumerate() {
            match *token {
                Token::Literal(c) => layout.literals.push((layout.length + 1, c)),
                Token::Field { field, digits, exact, .. } => {
                    let exact = exact && field != Field::Milli;
                    let length = u32::try_from(digits).ok().filter(|_| exact)?;
                    *layout.fields.get_mut(field as usize)? = Some(layout.length + 1);
                    *seen.get_mut(field as usize)? = true;
                    layout.length += length - 1;
                }
            }
            layout.length += 1;
            let whole = number + 1 == self.tokens.len();
            let field = matches!(token, Token::Field { .. });
            if let Some(precision) = known(seen).filter(|_| whole || field)
                && (whole || precision < Precision::Second || !self.utc())
            {
                found.push(Layout { precision, utc: self.utc(), ..layout.clone() });
            }
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(layouts: &[Layout]) -> Vec<(u32, Precision)> {
        layouts.iter().map(|l| (l.length, l.precision)).collect()
    }

    #[test]
    fn a_format_has_a_layout_for_each_way_it_may_end() {
        use Precision::{Day, Month, Second, Year};
        let of = |text: &str| lengths(&DateFormat::parse(text).unwrap().layouts().unwrap());
        assert_eq!(of("dd/MM/yyyy"), [(10, Day)]);
        assert_eq!(of("yyyyMMdd"), [(4, Year), (6, Month), (8, Day)]);
        assert_eq!(of("dd/MM/yyyy HH:mm"), [(10, Day), (16, Second)]);
        assert!(DateFormat::parse("d/M/yyyy").unwrap().layouts().is_none());
        let iso = [(4, Year), (7, Month), (10, Day), (16, Second), (19, Second), (20, Second)];
        assert_eq!(lengths(&iso_layouts()), iso);
        let (_, time) = DateFormat::parse("dd/MM/yyyy HH:mm").unwrap().halves().unwrap();
        let time = Layout::of_time(&time).unwrap();
        assert_eq!((time.length, time.fields[3], time.fields[4]), (5, Some(1), Some(4)));
    }
}
