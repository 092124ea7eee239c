//! Lists of algorithms, as far as the in-process client knows them.

use std::borrow::Cow;

use russh::Preferred;
use russh::keys::Algorithm;

use super::config::Settings;
use super::words::matches;

/// The preferences that `Ciphers`, `KexAlgorithms`, `MACs`, `HostKeyAlgorithms` and `Compression` ask for.
/// `Err`: they cannot be represented here.
pub(super) fn preferred(settings: &Settings) -> Result<Preferred, String> {
    let mut preferred = Preferred::default();
    // Compression costs memory for every host; only who asks for it gets it.
    preferred.compression = if settings.yes("compression") {
        vec![russh::compression::ZLIB_LEGACY, russh::compression::NONE].into()
    } else {
        vec![russh::compression::NONE].into()
    };
    preferred.kex = kex(settings, &preferred.kex)?;
    preferred.cipher = chosen(settings, "ciphers", &preferred.cipher, |name| {
        russh::cipher::Name::try_from(name).ok().filter(|_| !["none", "clear"].contains(&name))
    })?;
    preferred.mac = chosen(settings, "macs", &preferred.mac, |name| {
        russh::mac::Name::try_from(name).ok().filter(|_| name != "none")
    })?;
    preferred.key = chosen(settings, "hostkeyalgorithms", &preferred.key, host_key)?;
    Ok(preferred)
}

/// The extensions' names travel in the same list and are not for choosing.
fn kex(settings: &Settings, ours: &[russh::kex::Name]) -> Result<Cow<'static, [russh::kex::Name]>, String> {
    let extension = |name: &russh::kex::Name| {
        let name: &str = name.as_ref();
        name.starts_with("ext-info") || name.starts_with("kex-strict")
    };
    let mut real: Vec<_> = ours.iter().filter(|name| !extension(name)).copied().collect();
    // OpenSSH offers these too; some servers have nothing else.
    real.extend([
        russh::kex::ECDH_SHA2_NISTP256,
        russh::kex::ECDH_SHA2_NISTP384,
        russh::kex::ECDH_SHA2_NISTP521,
    ]);
    let mut list = chosen(settings, "kexalgorithms", &real, |name| {
        russh::kex::Name::try_from(name).ok().filter(|_| name != "none")
    })?
    .into_owned();
    list.extend(ours.iter().filter(|name| extension(name)));
    Ok(list.into())
}

fn host_key(name: &str) -> Option<Algorithm> {
    Algorithm::new(name).ok().filter(|algorithm| !matches!(algorithm, Algorithm::Other(_)))
}

/// Apply one setting to our own list: a list replaces it, `+` appends, `^` puts in front, `-` takes away.
fn chosen<T: AsRef<str> + Clone + PartialEq>(
    settings: &Settings,
    keyword: &str,
    ours: &[T],
    find: impl Fn(&str) -> Option<T>,
) -> Result<Cow<'static, [T]>, String>
where
    [T]: ToOwned<Owned = Vec<T>>,
{
    let Some(text) = settings.get(keyword) else { return Ok(ours.to_vec().into()) };
    let (sign, names) = match text.chars().next() {
        Some(sign @ ('+' | '^' | '-')) => (sign, &text[1..]),
        _ => ('=', text),
    };
    let named: Vec<T> = names.split(',').filter_map(&find).collect();
    let unknown = || Err(format!("{keyword} {text} names what the in-process client does not know"));
    let list: Vec<T> = match sign {
        '-' => {
            let gone = |have: &T| names.split(',').any(|pattern| matches(have.as_ref(), pattern));
            ours.iter().filter(|have| !gone(have)).cloned().collect()
        }
        '=' => named,
        _ if named.len() < names.split(',').count() => return unknown(),
        '+' => ours.iter().chain(named.iter().filter(|name| !ours.contains(name))).cloned().collect(),
        _ => named.iter().chain(ours.iter().filter(|have| !named.contains(have))).cloned().collect(),
    };
    if list.is_empty() { unknown() } else { Ok(list.into()) }
}
