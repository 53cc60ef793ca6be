use std::time::Duration;

use tokio::time::Instant;

/// How often a failure that goes on is said again.
const AGAIN: Duration = Duration::from_mins(1);

/// A failure that may come again and again, of which the log is told when it begins, once a minute while it
/// goes on, and when it ends.
#[derive(Debug, Default)]
pub struct Recurring {
    /// When the log was last told, and how often it failed since it began.
    going_on: Option<(Instant, u64)>,
}

impl Recurring {
    /// It failed. Gives back how often it did since it began, when that is to be said.
    pub fn failed(&mut self) -> Option<u64> {
        let now = Instant::now();
        match &mut self.going_on {
            None => {
                self.going_on = Some((now, 1));
                Some(1)
            }
            Some((said, times)) => {
                *times += 1;
                let due = now.duration_since(*said) >= AGAIN;
                if due {
                    *said = now;
                }
                due.then_some(*times)
            }
        }
    }

    /// It went well. Gives back how often it had failed, when that is to be said.
    pub fn succeeded(&mut self) -> Option<u64> {
        self.going_on.take().map(|(_, times)| times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_said_when_it_begins_once_a_minute_and_when_it_ends() {
        let mut failure = Recurring::default();
        assert_eq!(failure.succeeded(), None);
        let mut said = Vec::new();
        for second in 0..150 {
            said.extend(failure.failed().map(|times| (second, times)));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(said, [(0, 1), (60, 61), (120, 121)]);
        assert_eq!(failure.succeeded(), Some(150));
        assert_eq!(failure.succeeded(), None);
        assert_eq!(failure.failed(), Some(1), "a new one");
    }
}
