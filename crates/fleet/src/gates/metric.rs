//! A Prometheus query. `{generation}` in it is asked for the new and, to compare, for the old generation.

use std::time::Duration;

use serde_json::Value;

use super::Cohorts;
use crate::engine::{Generation, Verdict};
use crate::http;

pub(super) struct Limits {
    pub(super) max: Option<f64>,
    pub(super) min: Option<f64>,
    /// The new one's value may be so many times the old one's.
    pub(super) ratio: Option<f64>,
}

pub(super) fn ask(url: &str, query: &str, limits: &Limits, of: &Cohorts, timeout: Duration) -> Verdict {
    let new = match value(url, query, of.new.as_ref().or(of.old.as_ref()), timeout) {
        Ok(Some(new)) => new,
        Ok(None) => return Verdict::Inconclusive,
        Err(why) => return Verdict::Error(why),
    };
    if let Some(max) = limits.max.filter(|max| new > *max) {
        return Verdict::Fail(format!("{new} is more than {max}"));
    }
    if let Some(min) = limits.min.filter(|min| new < *min) {
        return Verdict::Fail(format!("{new} is less than {min}"));
    }
    let Some(ratio) = limits.ratio else { return Verdict::Pass };
    match value(url, query, of.old.as_ref(), timeout) {
        Ok(Some(old)) if new > old * ratio => {
            Verdict::Fail(format!("{new} is more than {ratio} times {old} of the old ones"))
        }
        Ok(Some(_)) => Verdict::Pass,
        Ok(None) => Verdict::Inconclusive,
        Err(why) => Verdict::Error(why),
    }
}

/// None: there is no data.
fn value(
    url: &str,
    query: &str,
    generation: Option<&Generation>,
    timeout: Duration,
) -> Result<Option<f64>, String> {
    let generation = generation.map(ToString::to_string).unwrap_or_default();
    let query = query.replace("{generation}", &generation);
    let address = format!("{}/api/v1/query?query={}", url.trim_end_matches('/'), http::escaped(&query));
    let answer = http::call(&address, None, timeout)?;
    let json: Value = serde_json::from_str(&answer.body)
        .map_err(|_| format!("{url} answers {}: no JSON", answer.status))?;
    if json["status"] != "success" {
        let why = json["error"].as_str().unwrap_or("it does not say why");
        return Err(format!("{url} refuses the query: {why}"));
    }
    let result = &json["data"]["result"];
    let sample = if json["data"]["resultType"] == "scalar" { &result[1] } else { &result[0]["value"][1] };
    let number = sample.as_str().and_then(|text| text.parse::<f64>().ok());
    Ok(number.filter(|number| number.is_finite()))
}
