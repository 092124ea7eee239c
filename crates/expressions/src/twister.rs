//! Python's `random.Random` with a seed: the same seed must choose the same values as it did with Ansible.

use num_bigint::BigInt;
use sha2::{Digest, Sha512};

use crate::error::Error;
use crate::value::Value;

const N: usize = 624;
const M: usize = 397;

/// Python's generator of random numbers.
pub struct Twister {
    state: [u32; N],
    index: usize,
}

impl Twister {
    /// Seeded by a value, or by the system.
    pub(crate) fn new(seed: Option<&Value>) -> Result<Self, Error> {
        let magnitude = match seed {
            None | Some(Value::None) => BigInt::from_bytes_le(num_bigint::Sign::Plus, &random_bytes::<32>()?),
            Some(Value::Str(text)) => return Ok(Self::from_text(text.as_str())),
            Some(other) => other.as_big().ok_or_else(|| {
                Error::new(format!("a seed must be a string or an integer, not {}", other.type_name()))
            })?,
        };
        Ok(Self::by_magnitude(&magnitude))
    }

    /// `random.Random(text)`.
    pub fn from_text(text: &str) -> Self {
        let mut bytes = text.as_bytes().to_vec();
        bytes.extend(Sha512::digest(text));
        Self::by_magnitude(&BigInt::from_bytes_be(num_bigint::Sign::Plus, &bytes))
    }

    fn by_magnitude(magnitude: &BigInt) -> Self {
        let mut key = magnitude.magnitude().to_u32_digits();
        if key.is_empty() {
            key.push(0);
        }
        Self::by_array(&key)
    }

    fn by_number(seed: u32) -> Self {
        let mut state = [0; N];
        state[0] = seed;
        for i in 1..N {
            let before = state[i - 1] ^ (state[i - 1] >> 30);
            state[i] = before.wrapping_mul(1_812_433_253).wrapping_add(u32::try_from(i).unwrap_or(0));
        }
        Self { state, index: N }
    }

    fn by_array(key: &[u32]) -> Self {
        let mut new = Self::by_number(19_650_218);
        let state = &mut new.state;
        let (mut i, mut j) = (1, 0);
        for _ in 0..N.max(key.len()) {
            let mixed = (state[i - 1] ^ (state[i - 1] >> 30)).wrapping_mul(1_664_525);
            state[i] = (state[i] ^ mixed).wrapping_add(key[j]).wrapping_add(u32::try_from(j).unwrap_or(0));
            i += 1;
            j = (j + 1) % key.len();
            if i >= N {
                state[0] = state[N - 1];
                i = 1;
            }
        }
        for _ in 0..N - 1 {
            let mixed = (state[i - 1] ^ (state[i - 1] >> 30)).wrapping_mul(1_566_083_941);
            state[i] = (state[i] ^ mixed).wrapping_sub(u32::try_from(i).unwrap_or(0));
            i += 1;
            if i >= N {
                state[0] = state[N - 1];
                i = 1;
            }
        }
        state[0] = 0x8000_0000;
        new
    }

    fn next(&mut self) -> u32 {
        if self.index >= N {
            for i in 0..N {
                let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
                let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[i] = self.state[(i + M) % N] ^ (y >> 1) ^ odd;
            }
            self.index = 0;
        }
        let mut y = self.state[self.index];
        self.index += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    fn bits(&mut self, count: u32) -> u64 {
        if count <= 32 {
            return u64::from(self.next() >> (32 - count));
        }
        let low = u64::from(self.next());
        let high = u64::from(self.next() >> (64 - count));
        low | (high << 32)
    }

    /// A number below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        let bits = 64 - limit.leading_zeros();
        loop {
            let number = self.bits(bits);
            if number < limit {
                return number;
            }
        }
    }

    /// A place in something of this length, which is not 0.
    pub fn below_len(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }
}

/// Bytes that nobody can guess.
pub(crate) fn random_bytes<const COUNT: usize>() -> Result<[u8; COUNT], Error> {
    use std::io::Read as _;
    let mut bytes = [0; COUNT];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| Error::new(format!("no randomness from the system: {error}")))?;
    Ok(bytes)
}
