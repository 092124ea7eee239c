//! What the machine costs for each member of a fleet, small and large: processor time of its decisions in a whole
//! rollout of simulated members, a quarter of them at a time. `bench/rollouts.sh` runs it.

use std::process::ExitCode;
use std::time::Duration;

use fleet::engine::{Budget, Command, Outcome, Record, Share, Spec, Stage, Start, State, decide, plan};
use fleet::simulation::World;
use rustix::time::{ClockId, clock_gettime};

/// A thousand members may cost so many times what a hundred cost, each.
const FLAT: f64 = 1.5;

fn processor() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Processor time and decisions until all members are new.
fn rollout(members: u32) -> Option<(Duration, u32)> {
    let budget = Budget { surge: Share::Percent(25), ..Budget::default() };
    let spec = Spec { budget, ..Spec::new("web", members) };
    let (mut state, mut world) = (State::new(spec.clone()), World { boot_time: 5000, ..World::default() });
    let ask = |state: &mut State, at, command| {
        state.apply(at, &Record::Asked { by: "ann".to_owned(), rollout: None, command });
    };
    ask(&mut state, 0, Command::Up { generation: "v1".into() });
    let (mut spent, mut decisions, mut started) = (Duration::ZERO, 0, false);
    for second in 1..3600 {
        world.pass(second * 1000);
        let seen = world.observe();
        let serving = world.available() == members;
        if serving && !started {
            let start =
                Start { to: "v2".into(), from: None, plan: plan(&spec), force: false, from_unhealthy: false };
            ask(&mut state, world.now, Command::Start { start: Box::new(start) });
            started = true;
        }
        let before = processor();
        let decision = decide(&mut state, &seen);
        if started {
            spent += processor() - before;
            decisions += 1;
        }
        for (number, act) in decision.acts {
            let outcome: Outcome = world.perform(&act);
            state.apply(world.now, &Record::Outcome { number, outcome });
        }
        if state.rollout.as_ref().is_some_and(|rollout| rollout.stage == Stage::Succeeded) {
            return Some((spent, decisions));
        }
    }
    None
}

fn main() -> ExitCode {
    let mut each = Vec::new();
    for members in [10, 100, 1000] {
        // The least of three: others use the machine too.
        let least = (0..3).filter_map(|_| rollout(members)).min();
        let Some((spent, decisions)) = least else {
            println!("MISSED   a rollout of {members} simulated members did not end");
            return ExitCode::FAILURE;
        };
        let micros = spent.as_secs_f64() * 1e6 / f64::from(members);
        println!("{members:>5} members: {decisions} decisions, {micros:.0} µs of processor time a member");
        each.push(micros);
    }
    let ratio = each[2] / each[1];
    let word = if ratio <= FLAT { "reached" } else { "MISSED " };
    println!(
        "{word}  flat cost a member: 1,000 members cost {ratio:.2} times what 100 cost, each (aim: at most {FLAT})"
    );
    if ratio <= FLAT { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
