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
        let start = u32::try_from(self.text.len()).map_err(|_| TooMuchText)?;
        let cell = match cell {
            None => Cell { start: NULL, end: NULL },
            Some(text) => {
                self.text.push_str(text);
                let end = u32::try_from(self.text.len()).map_err(|_| TooMuchText)?;
                if end == NULL {
                    return Err(TooMuchText);
                }
                Cell { start, end }
            }
        };
        self.cells.push(cell);
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

/// One row, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    text: &'a str,
    cells: &'a [Cell],
}

impl<'a> Row<'a> {
    /// The cell at `index`: `None` for NULL or a cell that is not there.
    pub fn get(&self, index: usize) -> Option<&'a str> {
        let cell = self.cells.get(index)?;
        if cell.start == NULL {
            return None;
        }
        self.text.get(cell.start as usize..cell.end as usize)
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
}
