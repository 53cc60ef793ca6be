//! How long a tenant's statements took, by the plan they carry out: which resource, by which parameters.
//! Names of plans hold no value, and there are few: who keeps asking in ever new ways takes the place of
//! what cost least.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::mem;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::steps::{self, STEPS, quantile, step};

/// Plans known of one tenant, in each half of the window.
pub const PLANS: usize = 32;
/// What is shown is of the last one or two of these.
const HALF: Duration = Duration::from_hours(12);
/// Longest name.
const NAME: usize = 160;

/// How a statement ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was answered.
    Done,
    /// The database refused it.
    Failed,
    /// It was given up before it was answered: out of time, or nobody waited any more.
    CutOff,
}

/// One tenant's plans.
#[derive(Default)]
pub struct Plans(RwLock<Window>);

#[derive(Default)]
struct Window {
    begun: Option<Instant>,
    present: HashMap<Box<str>, Arc<Plan>>,
    before: HashMap<Box<str>, Arc<Plan>>,
    /// Plans that gave up their place since the window began.
    dropped: u64,
}

/// Counters of one plan.
pub struct Plan {
    born: Instant,
    steps: [AtomicU32; STEPS],
    rows: AtomicU64,
    failed: AtomicU64,
    cut_off: AtomicU64,
    micros: AtomicU64,
    worst_micros: AtomicU64,
    /// Microseconds from being born to the last end; 0 before the first.
    last_micros: AtomicU64,
}

/// What is known of one plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The resource, what is done, and the names of the parameters.
    pub plan: String,
    /// How often it ran.
    pub count: u64,
    /// How often the database refused it.
    pub failed: u64,
    /// How often it was given up.
    pub cut_off: u64,
    /// Rows it gave or changed.
    pub rows: u64,
    /// Half of the times were no longer. Within the histogram's step, 41 % wide.
    pub p50: Option<Duration>,
    /// 99 of 100 were no longer.
    pub p99: Option<Duration>,
    /// The longest.
    pub worst: Duration,
    /// All together.
    pub total: Duration,
    /// How long ago it ran last.
    pub last: Duration,
}

/// What is known of a tenant's plans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Queries {
    /// Those that took most time first.
    pub queries: Vec<Query>,
    /// How far back it goes; nothing before the first statement.
    pub window: Option<Duration>,
    /// Plans of which nothing is known any more because there were too many.
    pub dropped: u64,
}

impl Plans {
    /// The counters of a plan. What of the name is no name of a parameter is not kept.
    pub fn of(&self, name: &str) -> Arc<Plan> {
        {
            let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
            let fresh = held.begun.is_some_and(|begun| begun.elapsed() < HALF);
            if let Some(plan) = held.present.get(name).filter(|_| fresh) {
                return Arc::clone(plan);
            }
        }
        let name = cleaned(name);
        let mut held = self.held();
        if let Some(plan) = held.present.get(name.as_str()) {
            return Arc::clone(plan);
        }
        if held.present.len() >= PLANS {
            let least = held.present.iter().min_by_key(|(_, plan)| plan.weight());
            if let Some(name) = least.map(|(name, _)| name.clone()) {
                held.present.remove(&name);
                held.dropped += 1;
            }
        }
        let plan = Arc::new(Plan::new());
        held.present.insert(name.into(), Arc::clone(&plan));
        plan
    }

    /// What is known of all, those that took most time first.
    pub fn queries(&self) -> Queries {
        let held = self.held();
        let mut names: Vec<&str> =
            held.present.keys().chain(held.before.keys()).map(|n| &**n).collect();
        names.sort_unstable();
        names.dedup();
        let query = |name: &str| {
            let plans = [held.present.get(name), held.before.get(name)];
            Query::of(name, plans.into_iter().flatten())
        };
        let mut queries: Vec<Query> = names.into_iter().filter_map(query).collect();
        queries.sort_by_key(|query| Reverse(query.total));
        let half = if held.before.is_empty() { Duration::ZERO } else { HALF };
        let window = held.begun.map(|begun| begun.elapsed() + half);
        Queries { queries, window, dropped: held.dropped }
    }

    /// The window, moved on when its present half is over.
    fn held(&self) -> RwLockWriteGuard<'_, Window> {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let age = held.begun.map(|begun| begun.elapsed());
        if age.is_none_or(|age| age >= HALF) {
            let past = mem::take(&mut held.present);
            held.before = if age.is_some_and(|age| age < 2 * HALF) { past } else { HashMap::new() };
            held.begun = Some(Instant::now());
            held.dropped = 0;
        }
        held
    }
}

/// A name without what parameters' names do not have: nothing of a value gets in by mistake.
pub(super) fn cleaned(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || " _-:.,;$+/#()".contains(c);
    name.chars().take(NAME).map(|c| if plain(c) { c } else { '?' }).collect()
}

fn micros_of(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Plan {
    fn new() -> Self {
        Self {
            born: Instant::now(),
            steps: Default::default(),
            rows: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            cut_off: AtomicU64::new(0),
            micros: AtomicU64::new(0),
            worst_micros: AtomicU64::new(0),
            last_micros: AtomicU64::new(0),
        }
    }

    /// Counts a statement.
    pub fn ended(&self, took: Duration, end: End) {
        let micros = micros_of(took);
        self.steps[step(took)].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
        self.worst_micros.fetch_max(micros, Ordering::Relaxed);
        match end {
            End::Done => {}
            End::Failed => drop(self.failed.fetch_add(1, Ordering::Relaxed)),
            End::CutOff => drop(self.cut_off.fetch_add(1, Ordering::Relaxed)),
        }
        self.last_micros.fetch_max(micros_of(self.born.elapsed()).max(1), Ordering::Relaxed);
    }

    /// Counts rows it gave.
    pub fn rows(&self, count: u64) {
        self.rows.fetch_add(count, Ordering::Relaxed);
    }

    fn last(&self) -> Option<Instant> {
        let micros = self.last_micros.load(Ordering::Relaxed);
        (micros > 0).then(|| self.born + Duration::from_micros(micros))
    }

    /// What makes it worth its place: the time it took, up to now for one whose first statement runs.
    fn weight(&self) -> u64 {
        match self.last_micros.load(Ordering::Relaxed) {
            0 => micros_of(self.born.elapsed()),
            _ => self.micros.load(Ordering::Relaxed),
        }
    }
}

impl Query {
    fn of<'p>(name: &str, plans: impl Iterator<Item = &'p Arc<Plan>>) -> Option<Self> {
        let (mut sums, mut last) = ([0; STEPS], None);
        let (mut failed, mut cut_off, mut rows, mut total, mut worst) = (0, 0, 0, 0, 0);
        for plan in plans {
            steps::add(&mut sums, &plan.steps);
            failed += plan.failed.load(Ordering::Relaxed);
            cut_off += plan.cut_off.load(Ordering::Relaxed);
            rows += plan.rows.load(Ordering::Relaxed);
            total += plan.micros.load(Ordering::Relaxed);
            worst = worst.max(plan.worst_micros.load(Ordering::Relaxed));
            last = last.max(plan.last());
        }
        Some(Self {
            plan: name.to_owned(),
            count: sums.iter().sum(),
            failed,
            cut_off,
            rows,
            p50: quantile(&sums, 50),
            p99: quantile(&sums, 99),
            worst: Duration::from_micros(worst),
            total: Duration::from_micros(total),
            last: last?.elapsed(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn what_took_most_comes_first_with_its_times() {
        let plans = Plans::default();
        assert_eq!(plans.queries(), Queries::default().window_of(Duration::ZERO));
        for _ in 0..99 {
            plans.of("Patient read").ended(MILLI, End::Done);
        }
        plans.of("Patient read").rows(99);
        plans.of("Patient read").ended(40 * MILLI, End::Failed);
        plans.of("Observation search code").ended(5000 * MILLI, End::CutOff);
        tokio::time::advance(Duration::from_secs(3)).await;
        let found = plans.queries().queries;
        let names: Vec<_> = found.iter().map(|query| query.plan.as_str()).collect();
        assert_eq!(names, ["Observation search code", "Patient read"]);
        let read = &found[1];
        assert_eq!((read.count, read.failed, read.cut_off, read.rows), (100, 1, 0, 99));
        assert_eq!((read.worst, (read.last + MILLI).as_secs()), (40 * MILLI, 3));
        assert!(read.p50.unwrap() <= MILLI * 3 / 2 && read.p99.unwrap() <= MILLI * 3 / 2);
        assert_eq!((found[0].cut_off, found[0].worst), (1, 5000 * MILLI));
    }

    #[test]
    fn ever_new_names_take_the_place_of_what_cost_least() {
        let plans = Plans::default();
        plans.of("Patient search slow").ended(1000 * MILLI, End::Done);
        for n in 0..10 * PLANS {
            plans.of(&format!("Patient search p{n}")).ended(MILLI, End::Done);
        }
        let found = plans.queries();
        assert_eq!(found.queries.len(), PLANS);
        assert_eq!(found.queries[0].plan, "Patient search slow");
        assert_eq!(found.dropped, 9 * PLANS as u64 + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_long_past_is_forgotten() {
        let plans = Plans::default();
        plans.of("old").ended(MILLI, End::Done);
        tokio::time::advance(HALF + MILLI).await;
        plans.of("new").ended(MILLI, End::Done);
        let names = |plans: &Plans| -> Vec<String> {
            plans.queries().queries.into_iter().map(|query| query.plan).collect()
        };
        assert_eq!(names(&plans).len(), 2, "of the half before");
        tokio::time::advance(HALF + MILLI).await;
        assert_eq!(names(&plans), ["new"]);
        tokio::time::advance(3 * HALF).await;
        assert_eq!(names(&plans), Vec::<String>::new());
    }

    #[test]
    fn nothing_but_names_is_kept() {
        let plans = Plans::default();
        plans.of("Patient search name=O'Hara|\u{e9}").ended(MILLI, End::Done);
        let found = plans.queries().queries;
        assert_eq!(found[0].plan, "Patient search name?O?Hara??");
        let found = Plans::default();
        found.of(&"x".repeat(4000)).ended(MILLI, End::Done);
        assert_eq!(found.queries().queries[0].plan.len(), NAME);
    }

    impl Queries {
        const fn window_of(mut self, window: Duration) -> Self {
            self.window = Some(window);
            self
        }
    }
}
