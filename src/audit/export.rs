use std::path::PathBuf;
use std::time::Duration;

use super::chain::first_event_time;
use super::line::Parsed;
use super::segment::{self, Lines, Read};
use super::{AuditFault, AuditPlace, verify};
use crate::base::{TenantId, Timestamp};

/// How far a clock may have been set back. An event stands behind later ones then.
const SET_BACK: Duration = Duration::from_hours(25);

/// A tenant's events of an interval, oldest first across the gateway's instances, each as the JSON
/// line that its chain holds. Blocking; lines that are no events are passed over, for verifying tells
/// of them.
pub struct Export {
    chains: Vec<ChainEvents>,
    from: Timestamp,
    to: Timestamp,
}

struct ChainEvents {
    /// Segments still to be read, the next one last.
    segments: Vec<PathBuf>,
    lines: Option<Lines>,
    next: Option<(Timestamp, String)>,
}

impl Export {
    /// Events from `from` on and before `to`.
    pub fn open(
        place: &AuditPlace,
        tenant: TenantId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Self, AuditFault> {
        let mut export = Self { chains: Vec::new(), from, to };
        for instance in verify::instances(place, tenant)? {
            let folder = segment::chain_folder(&place.dir, tenant, &instance);
            let fault = AuditFault::io(&folder);
            let numbers = segment::segments(&folder).map_err(&fault)?;
            let mut segments: Vec<PathBuf> =
                numbers.iter().map(|number| segment::segment_path(&folder, *number)).collect();
            // A segment that the next one follows long before the interval has nothing of it.
            let mut early = 0;
            for (at, path) in segments.iter().enumerate().skip(1) {
                if first_event_time(path)
                    .map_err(&fault)?
                    .is_none_or(|begun| begun.plus(SET_BACK) >= from)
                {
                    break;
                }
                early = at;
            }
            segments.drain(..early);
            segments.reverse();
            let mut chain = ChainEvents { segments, lines: None, next: None };
            chain.advance(from, to)?;
            export.chains.push(chain);
        }
        Ok(export)
    }
}

impl ChainEvents {
    fn advance(&mut self, from: Timestamp, to: Timestamp) -> Result<(), AuditFault> {
        self.next = None;
        loop {
            let Some(lines) = &mut self.lines else {
                let Some(path) = self.segments.pop() else { return Ok(()) };
                self.lines = Some(Lines::open(&path).map_err(AuditFault::io(&path))?);
                continue;
            };
            match lines.next().map_err(AuditFault::io(&PathBuf::new()))? {
                Read::Whole(line) => {
                    let Some(event) = Parsed::parse(&line) else { continue };
                    let at = event.facts.at;
                    if at >= from && at < to {
                        self.next = Some((at, String::from_utf8_lossy(&line).into_owned()));
                        return Ok(());
                    }
                }
                Read::Torn(_) | Read::End => self.lines = None,
                Read::TooLong => {}
            }
        }
    }
}

impl Iterator for Export {
    type Item = Result<String, AuditFault>;

    fn next(&mut self) -> Option<Self::Item> {
        let waiting = self.chains.iter_mut().filter(|chain| chain.next.is_some());
        let first = waiting.min_by_key(|chain| chain.next.as_ref().map(|(at, _)| *at))?;
        let (_, line) = first.next.take()?;
        Some(first.advance(self.from, self.to).map(|()| line))
    }
}
