//! Reads by id that come at the same moment are fetched with one statement.
//!
//! Each read by itself costs the hospital's database a statement and a connection for as long as it takes.
//! Those of one source that meet differ only in their keys, so the first of them takes a connection and
//! reads for all: while it waits for its turn, and until everything else that was ready to run has run,
//! others join it. Nobody waits for company: who is alone reads alone.
//!
//! What others do costs nobody an answer. When the one who reads for all goes away or fails, or the tenant
//! was changed meanwhile, the others read for themselves and come to their own outcome.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::time::timeout_at;

use super::fault::RecordsFault;
use crate::auth::FhirRead;
use crate::mapping::plan::{KeyedRead, Value};
use crate::mapping::rows::Rows;
use crate::pool::Lease;
use crate::store::{self, run::FetchedPage};
use crate::tenant::Session;

/// Most reads in one statement: one that is slow, or fails, holds up so many.
const MOST: usize = 32;

/// The reads of one tenant, under one configuration, that are about to be fetched.
#[derive(Default)]
struct Together(Mutex<Open>);

#[derive(Default)]
struct Open {
    last: u64,
    parties: Vec<Party>,
}

/// Reads that will be fetched with one statement.
struct Party {
    number: u64,
    read: Arc<KeyedRead>,
    /// Which history of the registry they were admitted in.
    history: u64,
    guests: Vec<Guest>,
}

struct Guest {
    key: Vec<Value>,
    answer: oneshot::Sender<Arc<FetchedPage>>,
}

/// How somebody takes part.
enum Place {
    Guest(oneshot::Receiver<Arc<FetchedPage>>),
    Host(Host),
}

/// Reads for a party. When it is dropped its guests learn that nobody does.
struct Host {
    together: Arc<Together>,
    number: u64,
}

impl Together {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(self: &Arc<Self>, read: &Arc<KeyedRead>, history: u64, key: &[Value]) -> Place {
        let mut open = self.open();
        let fits = |party: &&mut Party| {
            Arc::ptr_eq(&party.read, read)
                && party.history == history
                && party.guests.len() + 1 < MOST
        };
        if let Some(party) = open.parties.iter_mut().find(fits) {
            let (answer, answered) = oneshot::channel();
            party.guests.push(Guest { key: key.to_vec(), answer });
            return Place::Guest(answered);
        }
        open.last += 1;
        let number = open.last;
        let guests = Vec::new();
        open.parties.push(Party { number, read: Arc::clone(read), history, guests });
        Place::Host(Host { together: Arc::clone(self), number })
    }

    /// Ends a party: nobody joins it any more.
    fn close(&self, number: u64) -> Vec<Guest> {
        let mut open = self.open();
        let at = open.parties.iter().position(|party| party.number == number);
        at.map(|at| open.parties.swap_remove(at).guests).unwrap_or_default()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.together.close(self.number));
    }
}

impl Session<FhirRead> {
    /// The rows of a key, and of others', when somebody else reads at the same moment; `None` for reading
    /// alone. A connection taken and not used is left in `lease`; one who joins others gives hers back.
    pub(super) async fn fetch_together(
        &self,
        name: &str,
        read: &Arc<KeyedRead>,
        key: &[Value],
        lease: &mut Option<Lease>,
    ) -> Result<Option<Arc<FetchedPage>>, RecordsFault> {
        if self.is_alone() || !store::is_plain_key(read, key) {
            return Ok(None);
        }
        let together = self.beside(Together::default);
        match together.join(read, self.history(), key) {
            Place::Guest(answer) => {
                // Whoever reads for all may be waiting for just this connection.
                drop(lease.take());
                let answer = timeout_at(self.deadline().at(), answer).await;
                Ok(answer.ok().and_then(Result::ok))
            }
            Place::Host(host) => {
                let lent = match lease.take() {
                    Some(lent) => lent,
                    None => self.lease().await?,
                };
                let lent = lease.insert(lent);
                lent.doing(name);
                let fetched = self.host(read, key, host, lent).await;
                // What was read for all may have cost the connection; reading alone takes another.
                lease.take_if(|lent| lent.is_lost());
                fetched
            }
        }
    }

    async fn host(
        &self,
        read: &Arc<KeyedRead>,
        key: &[Value],
        host: Host,
        lease: &mut Lease,
    ) -> Result<Option<Arc<FetchedPage>>, RecordsFault> {
        // Whatever is ready to run runs first, and is here when it reads too.
        tokio::task::yield_now().await;
        let guests = host.together.close(host.number);
        // The connection was lent before they came; a suspension in between is theirs as well.
        if guests.is_empty() || !self.stands() {
            return Ok(None);
        }
        let mut keys = Rows::new(key.len());
        for key in guests.iter().map(|guest| guest.key.as_slice()).chain([key]) {
            for value in key {
                if keys.push(Some(&value.text)).is_err() {
                    return Ok(None);
                }
            }
        }
        let Ok(fetched) = store::fetch_keys(lease, read, keys, self.deadline()).await else {
            // Each learns for herself what is wrong, be it with one of the others.
            return Ok(None);
        };
        let fetched = Arc::new(fetched);
        for guest in guests {
            // Whoever stopped waiting went away.
            drop(guest.answer.send(Arc::clone(&fetched)));
        }
        Ok(Some(fetched))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::catalog::SqlType;
    use crate::mapping::plan::{Predicate, Relation, Select};

    fn read() -> Arc<KeyedRead> {
        let from = Relation::Table { schema: None, name: "t".to_owned() };
        let select = Select {
            from: Arc::new(from),
            joins: Arc::new([]),
            columns: Arc::new([]),
            filter: Predicate::Always,
            order: Vec::new(),
            after: None,
            limit: None,
        };
        let (key, children) = (Vec::new(), Arc::new([]));
        let (written, many) = Default::default();
        Arc::new(KeyedRead { select, key, children, written, many })
    }

    fn key(text: &str) -> [Value; 1] {
        [Value { ty: SqlType::Text, text: text.to_owned() }]
    }

    fn host(place: Place) -> Host {
        match place {
            Place::Host(host) => host,
            Place::Guest(_) => panic!("a guest"),
        }
    }

    #[test]
    fn only_reads_of_one_source_and_one_history_meet() {
        let (together, patients, visits) = (Arc::new(Together::default()), read(), read());
        let first = host(together.join(&patients, 1, &key("a")));
        let _other_source = host(together.join(&visits, 1, &key("a")));
        let _other_history = host(together.join(&patients, 2, &key("a")));
        assert!(matches!(together.join(&patients, 1, &key("b")), Place::Guest(_)));
        let guests = together.close(first.number);
        assert_eq!(
            guests.iter().map(|guest| guest.key[0].text.as_str()).collect::<Vec<_>>(),
            ["b"]
        );
        // A party that was closed takes nobody.
        let _next = host(together.join(&patients, 1, &key("c")));
    }

    #[test]
    fn a_party_takes_so_many_and_no_more() {
        let (together, patients) = (Arc::new(Together::default()), read());
        let first = host(together.join(&patients, 1, &key("a")));
        for _ in 1..MOST {
            assert!(matches!(together.join(&patients, 1, &key("b")), Place::Guest(_)));
        }
        let _second = host(together.join(&patients, 1, &key("c")));
        assert_eq!(together.close(first.number).len() + 1, MOST);
    }

    #[tokio::test]
    async fn guests_of_a_host_who_went_away_are_told() {
        let (together, patients) = (Arc::new(Together::default()), read());
        let first = host(together.join(&patients, 1, &key("a")));
        let Place::Guest(answer) = together.join(&patients, 1, &key("b")) else { panic!("a host") };
        drop(first);
        assert!(answer.await.is_err());
        assert!(together.open().parties.is_empty());
    }
}
