//! Requests and errors of the last minutes as a small picture.

use maud::{Markup, html};

use super::words;
use crate::telemetry::traffic::Recent;

const WIDTH: usize = 5;
const GAP: usize = 1;
const HEIGHT: u32 = 24;

/// A bar for each minute, the errors' part of it apart. Said in words for who does not see it.
pub(super) fn line(recent: &Recent) -> Markup {
    let most = recent.requests.iter().copied().max().unwrap_or(0).max(1);
    let bar = |count: u32| {
        let height = (u64::from(count) * u64::from(HEIGHT)).div_ceil(u64::from(most));
        u32::try_from(height).unwrap_or(HEIGHT).min(HEIGHT)
    };
    let wide = recent.requests.len() * (WIDTH + GAP);
    let view = format!("0 0 {wide} {HEIGHT}");
    let (total, failed) = (words::count(recent.total()), words::count(recent.failed()));
    let said = format!("{total} requests and {failed} errors in the last 15 minutes");
    html! {
        svg class="spark" viewBox=(view) width=(wide) height=(HEIGHT) preserveAspectRatio="none" role="img" aria-label=(said) {
            path class="floor" d={ "M0 " (HEIGHT) "h" (wide) } {}
            @for (at, (requests, errors)) in recent.requests.iter().zip(&recent.errors).enumerate() {
                @if *requests > 0 {
                    rect class="asked" x=(at * (WIDTH + GAP)) y=(HEIGHT - bar(*requests))
                        width=(WIDTH) height=(bar(*requests)) {}
                }
                @if *errors > 0 {
                    rect class="failed" x=(at * (WIDTH + GAP)) y=(HEIGHT - bar(*errors))
                        width=(WIDTH) height=(bar(*errors)) {}
                }
            }
        }
    }
}
