//! Times as text.

use crate::state::Time;

/// RFC 3339, UTC.
pub(crate) fn now() -> String {
    rfc3339(Time::now())
}

pub(crate) fn rfc3339(time: Time) -> String {
    let (days, seconds) = (time.0.div_euclid(86400), time.0.rem_euclid(86400));
    // Days since 1970 to a date (the era starts on 1 March, so that the leap day is last).
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}
