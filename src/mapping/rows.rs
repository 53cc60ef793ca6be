//! Rows as fetched: every cell is text or NULL, in one buffer, so a page costs a handful of
//! allocations however many cells it has.

/// Rows of one statement, each with the same number of cells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    width: usize,
    text: String,
    cells: Vec<Cell>,
}

/// Where a cell lies in the buffer; `start` is `NULL` for an SQL NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cell {
    start: u32,
    end: u32,
}

const NULL: u32 = u32::MAX;

impl Cell {
    /// The place of a cell so long, behind what is there; without a length that of an SQL NULL.
    fn behind(there: usize, length: Option<usize>) -> Result<Self, TooMuchText> {
        let Some(length) = length else { return Ok(Self { start: NULL, end: NULL }) };
        let place = |at: usize| u32::try_from(at).ok().filter(|at| *at != NULL).ok_or(TooMuchText);
        Ok(Self { start: place(there)?, end: place(there.saturating_add(length))? })
    }

    fn range(self) -> Option<std::ops::Range<usize>> {
        (self.start != NULL).then_some(self.start as usize..self.end as usize)
    }
}

/// The rows hold more text than one answer may (4 GiB of cell text).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the rows hold more text than one answer may")]
pub struct TooMuchText;

impl Rows {
    /// No rows yet, each of `width` cells.
    pub fn new(width: usize) -> Self {
        Self { width, text: String::new(), cells: Vec::new() }
    }

    /// Appends the next cell; rows fill from left to right.
    pub fn push(&mut self, cell: Option<&str>) -> Result<(), TooMuchText> {
        let place = Cell::behind(self.text.len(), cell.map(str::len))?;
        self.text.push_str(cell.unwrap_or_default());
        self.cells.push(place);
        Ok(())
    }

    /// Bytes of cell text held.
    pub fn text_len(&self) -> usize {
        self.text.len()
    }

    /// Cells in each row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of complete rows.
    pub fn len(&self) -> usize {
        self.cells.len().checked_div(self.width).unwrap_or(0)
    }

    /// Whether there is no complete row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The row at `index`, if there are that many.
    pub fn row(&self, index: usize) -> Option<Row<'_>> {
        let start = index.checked_mul(self.width)?;
        let cells = self.cells.get(start..start.checked_add(self.width)?)?;
        Some(Row { text: &self.text, cells })
    }

    /// A row in which every cell is NULL.
    pub fn nothing(&self) -> Row<'_> {
        Row { text: &self.text, cells: &[] }
    }

    /// All rows in order.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.len()).filter_map(|index| self.row(index))
    }
}

/// Rows on their way from a server, of which nobody has said yet that they are text. To check them all at once
/// costs a fraction of checking cell by cell.
#[derive(Debug)]
pub struct UncheckedRows {
    width: usize,
    bytes: Vec<u8>,
    cells: Vec<Cell>,
}

impl UncheckedRows {
    /// No rows yet, each of `width` cells.
    pub fn new(width: usize) -> Self {
        Self { width, bytes: Vec::new(), cells: Vec::new() }
    }

    /// Appends the next cell; rows fill from left to right.
    pub fn push(&mut self, cell: Option<&[u8]>) -> Result<(), TooMuchText> {
        let place = Cell::behind(self.bytes.len(), cell.map(<[u8]>::len))?;
        self.bytes.extend_from_slice(cell.unwrap_or_default());
        self.cells.push(place);
        Ok(())
    }

    /// The rows, and how many cells stand as NULL in them because they are not UTF-8.
    pub fn checked(self) -> (Rows, u64) {
        let Self { width, bytes, cells } = self;
        // Two broken cells may make up a whole character between them.
        let apart = |text: &str| {
            text.is_ascii()
                || cells
                    .iter()
                    .filter_map(|cell| cell.range())
                    .all(|range| text.is_char_boundary(range.start))
        };
        let bytes = match String::from_utf8(bytes) {
            Ok(text) if apart(&text) => return (Rows { width, text, cells }, 0),
            Ok(text) => text.into_bytes(),
            Err(broken) => broken.into_bytes(),
        };
        let mut rows = Rows::new(width);
        let mut bad = 0;
        for cell in cells {
            let cell = cell.range().and_then(|range| bytes.get(range));
            let text = cell.map(std::str::from_utf8).transpose().unwrap_or_else(|_| {
                bad += 1;
                None
            });
            // What was not too much before is not now.
            let _fits = rows.push(text);
        }
        (rows, bad)
    }
}

/// One row, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    text: &'a str,
    cells: &'a [Cell],
}

impl<'a> Row<'a> {
    /// The cell at `index`: `None` for NULL or a cell that is not there.
    pub fn get(&self, index: usize) -> Option<&'a str> {
        self.text.get(self.cells.get(index)?.range()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_come_back_by_row_and_column() {
        let mut rows = Rows::new(2);
        for cell in [Some("a"), None, Some(""), Some("ñ")] {
            rows.push(cell).unwrap();
        }
        assert_eq!(rows.len(), 2);
        let got: Vec<_> = rows.iter().map(|r| (r.get(0), r.get(1), r.get(2))).collect();
        assert_eq!(got, [(Some("a"), None, None), (Some(""), Some("ñ"), None)]);
        assert!(rows.row(2).is_none());
    }

    fn checked(cells: &[Option<&[u8]>]) -> (Vec<Option<String>>, u64) {
        let mut rows = UncheckedRows::new(1);
        for cell in cells {
            rows.push(*cell).unwrap();
        }
        let (rows, bad) = rows.checked();
        assert_eq!(rows.len(), cells.len());
        (rows.iter().map(|row| row.get(0).map(str::to_owned)).collect(), bad)
    }

    #[test]
    fn a_broken_cell_is_null_and_the_others_are_whole() {
        let some = |text: &str| Some(text.to_owned());
        let good: [Option<&[u8]>; 4] = [Some(b"a"), None, Some(b""), Some("ñ".as_bytes())];
        assert_eq!(checked(&good), (vec![some("a"), None, some(""), some("ñ")], 0));
        let bad: [Option<&[u8]>; 4] = [Some("ñ".as_bytes()), Some(b"\xff"), None, Some(b"b")];
        assert_eq!(checked(&bad), (vec![some("ñ"), None, None, some("b")], 1));
    }

    #[test]
    fn two_broken_cells_do_not_make_a_whole_one() {
        let halves: [Option<&[u8]>; 4] = [Some(b"a\xc3"), None, Some(b"\xb1b"), Some(b"c")];
        assert_eq!(checked(&halves), (vec![None, None, None, Some("c".to_owned())], 2));
    }
}
