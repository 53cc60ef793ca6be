//! Which of a name's addresses a session is opened at.

use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::timeout_at;

use super::wire::Heard;
use super::{DialClass, DialFault};
use crate::base::Deadline;

/// How long an address from which nothing is heard keeps the next waiting (RFC 8305, section 8).
const NEXT: Duration = Duration::from_millis(250);

/// How good a choice a session is; the least is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Choice {
    /// What is looked for.
    Best,
    /// Takes no changes.
    Standby,
    /// Another server than the one that is looked for.
    Stranger,
}

/// Opens at one of `addresses`. They are tried in order, the next when the last one failed or nothing more is
/// heard from those under way: a machine that is gone answers nothing, one that hangs accepts and says nothing.
/// The first that is the best `choice` is taken, another only where no better one is to be had; nobody hurries for
/// a stranger's sake.
pub(super) async fn open<T, F>(
    addresses: &[IpAddr],
    deadline: Deadline,
    choice: impl Fn(&T) -> Choice,
    attempt: impl Fn(IpAddr, Heard) -> F,
) -> Result<T, DialFault>
where
    F: Future<Output = Result<T, DialFault>>,
{
    let mut heard: Vec<Heard> = Vec::with_capacity(addresses.len());
    let times = |heard: &[Heard]| heard.iter().map(Heard::times).sum::<u64>();
    let mut found = Err(DialFault::timeout("the server did not answer"));
    let mut waiting = addresses.iter();
    let mut under_way = FuturesUnordered::new();
    loop {
        if let Some(&address) = waiting.next() {
            let of = Heard::default();
            heard.push(of.clone());
            under_way.push(attempt(address, of));
        }
        let mut known = times(&heard);
        loop {
            // What is in hand waits for what is under way no longer than that for each other.
            let in_hand = found.as_ref().ok().map(&choice);
            let hurried = waiting.len() > 0 || in_hand == Some(Choice::Standby);
            let until = if hurried { deadline.within(NEXT) } else { deadline };
            match timeout_at(until.at(), under_way.next()).await {
                Ok(Some(Ok(opened))) if choice(&opened) == Choice::Best => return Ok(opened),
                Ok(Some(outcome)) => {
                    // Its word on the account holds for all of them: a password is not tried around.
                    let last = outcome.as_ref().is_err_and(is_final);
                    let better = outcome.as_ref().ok().map(&choice);
                    if in_hand.is_none() || better.is_some() && better < in_hand {
                        found = outcome;
                    }
                    if last {
                        return found;
                    }
                    break;
                }
                Ok(None) => return found,
                Err(_elapsed) if deadline.passed() => return found,
                Err(_elapsed) if times(&heard) != known => known = times(&heard),
                Err(_elapsed) if waiting.len() == 0 => return found,
                Err(_elapsed) => break,
            }
        }
    }
}

/// Whether a fault is the server's word on whoever logs in, rather than on its being there.
const fn is_final(fault: &DialFault) -> bool {
    !matches!(
        fault.class(),
        DialClass::Refused
            | DialClass::Timeout
            | DialClass::NotReady
            | DialClass::Protocol
            | DialClass::Internal
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::{Instant, sleep};

    use super::*;

    /// What a server does with whoever comes.
    #[derive(Clone, Copy)]
    enum Server {
        /// Says something every 100 ms and is open after so many times.
        Opens { choice: Choice, after: u64 },
        /// Says nothing until it is open after so many milliseconds.
        Silent { after: u64 },
        /// Accepts and says nothing.
        Hangs,
        /// Says this at once.
        Says(DialClass),
    }

    use Server::{Hangs, Opens, Says, Silent};

    const PRIMARY: Server = Opens { choice: Choice::Best, after: 1 };
    const STANDBY: Server = Opens { choice: Choice::Standby, after: 1 };
    const STRANGER: Server = Opens { choice: Choice::Stranger, after: 1 };
    const SLOW: Server = Opens { choice: Choice::Best, after: 20 };

    /// Which of the servers was opened or what was the fault, which were tried, and how many milliseconds it took.
    async fn among(servers: &[Server]) -> (Result<usize, DialClass>, Vec<usize>, u128) {
        let addresses: Vec<_> = (1..=servers.len())
            .map(|n| IpAddr::from([10, 0, 0, u8::try_from(n).unwrap()]))
            .collect();
        let tried = Mutex::new(Vec::new());
        let attempt = |address: IpAddr, heard: Heard| {
            let at = addresses.iter().position(|a| *a == address).unwrap();
            tried.lock().unwrap().push(at);
            async move {
                match servers[at] {
                    Opens { choice, after } => {
                        for _ in 0..after {
                            sleep(Duration::from_millis(100)).await;
                            heard.note();
                        }
                        Ok((at, choice))
                    }
                    Silent { after } => {
                        sleep(Duration::from_millis(after)).await;
                        Ok((at, Choice::Best))
                    }
                    Hangs => std::future::pending().await,
                    Says(class) => Err(DialFault::new(class, "as told")),
                }
            }
        };
        let (began, deadline) = (Instant::now(), Deadline::after(Duration::from_secs(3)));
        let opened = open(&addresses, deadline, |(_, choice)| *choice, attempt).await;
        let took = began.elapsed().as_millis();
        let tried = tried.lock().unwrap().clone();
        (opened.map(|(at, _)| at).map_err(|fault| fault.class()), tried, took)
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_hangs_keeps_the_next_waiting_for_a_moment() {
        assert_eq!(among(&[Hangs, PRIMARY]).await, (Ok(1), vec![0, 1], 350));
        assert_eq!(among(&[Hangs, Hangs, PRIMARY]).await, (Ok(2), vec![0, 1, 2], 600));
        assert_eq!(among(&[Says(DialClass::Refused), PRIMARY]).await, (Ok(1), vec![0, 1], 100));
        assert_eq!(among(&[Hangs]).await, (Err(DialClass::Timeout), vec![0], 3_000));
        let (opened, tried, took) = among(&[Says(DialClass::Refused), Hangs]).await;
        assert_eq!((opened, tried, took), (Err(DialClass::Refused), vec![0, 1], 3_000));
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_is_heard_has_its_time() {
        assert_eq!(among(&[SLOW, PRIMARY]).await, (Ok(0), vec![0], 2_000));
        assert_eq!(among(&[PRIMARY, PRIMARY]).await, (Ok(0), vec![0], 100));
    }

    #[tokio::test(start_paused = true)]
    async fn a_standby_serves_where_no_other_is_to_be_had() {
        assert_eq!(among(&[STANDBY, PRIMARY]).await, (Ok(1), vec![0, 1], 200));
        assert_eq!(among(&[STANDBY, SLOW]).await, (Ok(1), vec![0, 1], 2_100));
        assert_eq!(among(&[STANDBY]).await, (Ok(0), vec![0], 100));
        assert_eq!(among(&[STANDBY, STANDBY]).await, (Ok(0), vec![0, 1], 200));
        assert_eq!(among(&[STANDBY, Hangs]).await, (Ok(0), vec![0, 1], 350));
        assert_eq!(among(&[Hangs, STANDBY, Hangs]).await, (Ok(1), vec![0, 1, 2], 600));
        for class in [DialClass::Refused, DialClass::Full, DialClass::Auth] {
            assert_eq!(among(&[STANDBY, Says(class)]).await, (Ok(0), vec![0, 1], 100));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn another_server_is_the_last_choice() {
        assert_eq!(among(&[STRANGER, PRIMARY]).await, (Ok(1), vec![0, 1], 200));
        assert_eq!(among(&[STRANGER, STANDBY]).await, (Ok(1), vec![0, 1], 200));
        assert_eq!(among(&[STANDBY, STRANGER]).await, (Ok(0), vec![0, 1], 200));
        // The one that is looked for greets late.
        assert_eq!(among(&[Silent { after: 900 }, STRANGER]).await, (Ok(0), vec![0, 1], 900));
        assert_eq!(among(&[STRANGER, Says(DialClass::Refused)]).await, (Ok(0), vec![0, 1], 100));
        assert_eq!(among(&[Hangs, STRANGER]).await, (Ok(1), vec![0, 1], 3_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_account_is_not_tried_around() {
        for class in [DialClass::Auth, DialClass::Tls, DialClass::Full, DialClass::Hostile] {
            assert_eq!(among(&[Says(class), PRIMARY]).await, (Err(class), vec![0], 0));
        }
        for class in [DialClass::NotReady, DialClass::Protocol, DialClass::Timeout] {
            assert_eq!(among(&[Says(class), PRIMARY]).await, (Ok(1), vec![0, 1], 100));
        }
    }
}
