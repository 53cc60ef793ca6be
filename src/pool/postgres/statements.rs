//! Which statements the server has prepared for this session.

use std::collections::{HashMap, VecDeque};

use super::{ServerError, outgoing};

/// Where a statement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Its name's number.
    pub(super) number: u64,
    /// Whether it has still to be prepared.
    pub(super) new: bool,
}

impl Place {
    /// Prepared for one use, in the place of the last such.
    pub(super) const UNNAMED: Self = Self { number: 0, new: true };
}

struct Prepared {
    number: u64,
    types: Vec<u32>,
    used: u64,
}

/// The statements, the ones used longest ago given up first.
pub(super) struct Statements {
    capacity: usize,
    by_text: HashMap<Box<str>, Prepared>,
    /// Those being prepared, in order; each is known once the server says so.
    coming: VecDeque<(Box<str>, Prepared)>,
    /// Given up and, until their closing was sent, known to the server.
    stale: Vec<u64>,
    last: u64,
    uses: u64,
}

impl Statements {
    pub(super) fn new(capacity: usize) -> Self {
        let by_text = HashMap::with_capacity(capacity.min(8));
        let (coming, stale) = (VecDeque::new(), Vec::new());
        Self { capacity, by_text, coming, stale, last: 0, uses: 0 }
    }

    /// Forgets what the server was asked to prepare and did not.
    pub(super) fn begin(&mut self) {
        self.coming.clear();
    }

    /// Finds a statement, or makes room for it.
    pub(super) fn place(&mut self, sql: &str, types: impl Iterator<Item = u32> + Clone) -> Place {
        self.uses += 1;
        if let Some(prepared) = self.by_text.get_mut(sql)
            && prepared.types.iter().copied().eq(types.clone())
        {
            prepared.used = self.uses;
            return Place { number: prepared.number, new: false };
        }
        let same = |(text, prepared): &&(Box<str>, Prepared)| {
            **text == *sql && prepared.types.iter().copied().eq(types.clone())
        };
        if let Some((_, prepared)) = self.coming.iter().find(same) {
            return Place { number: prepared.number, new: false };
        }
        let oldest = || self.by_text.iter().min_by_key(|(_, p)| p.used).map(|(text, _)| text);
        let victim = match self.by_text.contains_key(sql) {
            true => Some(Box::from(sql)),
            false if self.by_text.len() + self.coming.len() >= self.capacity => oldest().cloned(),
            false => None,
        };
        if let Some(gone) = victim.and_then(|text: Box<str>| self.by_text.remove(&text)) {
            self.stale.push(gone.number);
        }
        self.last += 1;
        let prepared = Prepared { number: self.last, types: types.collect(), used: self.uses };
        self.coming.push_back((Box::from(sql), prepared));
        Place { number: self.last, new: true }
    }

    /// Writes what closes the statements given up, again and again until [`Statements::sent`].
    pub(super) fn close_stale(&self, out: &mut Vec<u8>) {
        for number in &self.stale {
            outgoing::close_statement(out, *number);
        }
    }

    /// What was written when a statement was placed has gone to the server.
    pub(super) fn sent(&mut self) {
        self.stale.clear();
    }

    /// The server has prepared the next of the statements that were placed.
    pub(super) fn parsed(&mut self) {
        self.by_text.extend(self.coming.pop_front());
    }

    /// When a statement fails because the server's plan of it no longer fits the tables, or because the server
    /// has lost it, all are prepared anew: what happened to one may have to the others.
    pub(super) fn failed(&mut self, place: Place, error: &sqlx::Error) {
        let told = error.as_database_error().and_then(|e| e.try_downcast_ref::<ServerError>());
        if place != Place::UNNAMED && told.is_some_and(ServerError::is_outdated) {
            self.stale.extend(self.by_text.drain().map(|(_, prepared)| prepared.number));
            if !self.stale.contains(&place.number) {
                self.stale.push(place.number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(statements: &mut Statements, sql: &str) -> (Place, Vec<u8>) {
        let mut out = Vec::new();
        statements.begin();
        let place = statements.place(sql, [25_u32].into_iter());
        statements.close_stale(&mut out);
        statements.sent();
        if place.new {
            statements.parsed();
        }
        (place, out)
    }

    #[test]
    fn the_one_used_longest_ago_goes_first_and_is_closed() {
        let mut statements = Statements::new(2);
        assert!(place(&mut statements, "a").0.new && place(&mut statements, "b").0.new);
        assert!(!place(&mut statements, "a").0.new);
        let (c, closed) = place(&mut statements, "c");
        assert!(c.new && closed == b"C\0\0\0\x08Ss2\0");
        assert!(!place(&mut statements, "a").0.new && place(&mut statements, "b").0.new);
    }

    #[test]
    fn other_types_are_another_statement() {
        let mut statements = Statements::new(2);
        let first = place(&mut statements, "a").0;
        let mut out = Vec::new();
        let second = statements.place("a", [20_u32].into_iter());
        statements.close_stale(&mut out);
        assert!(second.new && second.number != first.number && !out.is_empty());
    }

    #[test]
    fn what_the_server_did_not_prepare_is_not_known() {
        let mut statements = Statements::new(2);
        assert!(statements.place("a", std::iter::empty()).new);
        statements.begin();
        assert!(statements.place("a", std::iter::empty()).new);
    }

    #[test]
    fn several_on_their_way_are_known_one_by_one() {
        let mut statements = Statements::new(2);
        statements.begin();
        let [a, b, again] = ["a", "b", "a"].map(|sql| statements.place(sql, std::iter::empty()));
        assert!(a.new && b.new && !again.new && again.number == a.number);
        statements.parsed();
        // The second failed.
        statements.begin();
        let [a, b] = ["a", "b"].map(|sql| statements.place(sql, std::iter::empty()).new);
        assert!(!a && b);
    }
}
