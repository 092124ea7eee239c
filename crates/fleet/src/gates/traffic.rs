//! What the balancer has counted since the last time: errors of the new members, and how long answers take.

use super::Cohorts;
use crate::engine::{Generation, Verdict};

#[derive(Default)]
struct Sum {
    requests: u64,
    errors: u64,
    millis: u64,
}

/// Sums since `before`, of the members of one generation.
fn sum(of: &Cohorts, before: Option<&Cohorts>, generation: Option<&Generation>) -> Sum {
    let mut sum = Sum::default();
    for (id, server) in &of.servers {
        if of.members.get(id).map(|(generation, _)| generation) != generation {
            continue;
        }
        let old = before.and_then(|before| before.servers.get(id)).cloned().unwrap_or_default();
        sum.requests += server.requests.saturating_sub(old.requests);
        sum.errors += server.errors.saturating_sub(old.errors);
        sum.millis += server.millis.saturating_sub(old.millis);
    }
    sum
}

pub(super) fn compare(
    of: &Cohorts,
    before: Option<&Cohorts>,
    errors: f64,
    slower: Option<f64>,
    least: u64,
) -> Verdict {
    let new = sum(of, before, of.new.as_ref());
    let old = sum(of, before, of.old.as_ref());
    // Before anything new serves there is nothing to compare: the old ones show that it can be asked at all.
    let serves = of.members.values().any(|(generation, _)| Some(generation) == of.new.as_ref());
    if !serves {
        return Verdict::Pass;
    }
    if new.requests < least.max(1) {
        return Verdict::Inconclusive;
    }
    let percent = |sum: &Sum| sum.errors as f64 * 100.0 / sum.requests.max(1) as f64;
    // What the old ones answer badly too is not the new ones' fault.
    if percent(&new) > errors + percent(&old) {
        return Verdict::Fail(format!(
            "{:.1} % of {} answers of the new members are errors; {:.1} % of {} of the old ones",
            percent(&new),
            new.requests,
            percent(&old),
            old.requests
        ));
    }
    let mean = |sum: &Sum| sum.millis as f64 / sum.requests.max(1) as f64;
    if let Some(slower) = slower
        && old.requests >= least.max(1)
        // Below a few milliseconds, differences are noise.
        && mean(&new) > (mean(&old) * slower).max(5.0)
    {
        return Verdict::Fail(format!(
            "the new members take {:.0} ms, the old ones {:.0} ms",
            mean(&new),
            mean(&old)
        ));
    }
    Verdict::Pass
}
