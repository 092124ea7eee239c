//! Mutations that keep some of the structure: words of the language, lines, brackets and nesting.

pub(crate) struct Mutator {
    state: u64,
    words: &'static [&'static str],
}

/// Longer inputs only take longer.
const LONGEST: usize = 64 << 10;

impl Mutator {
    pub(crate) fn new(seed: u64, words: &'static [&'static str]) -> Self {
        Self { state: seed | 1, words }
    }

    fn random(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    /// Less than `limit`.
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.random() % (limit.max(1) as u64)).unwrap_or(0)
    }

    pub(crate) fn next(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(8) {
            self.one(&mut input, seeds);
            input.truncate(LONGEST);
        }
        input
    }

    fn one(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        match self.below(9) {
            0 if !input.is_empty() => {
                let at = self.below(input.len());
                input[at] = self.random().to_le_bytes()[0];
            }
            1 => {
                let word = self.words[self.below(self.words.len())];
                splice(input, at, word.as_bytes());
            }
            2 => {
                let end = (at + self.below(40)).min(input.len());
                input.drain(at..end);
            }
            3 => {
                let end = (at + self.below(40)).min(input.len());
                let piece = input[at..end].to_vec();
                let to = self.below(input.len() + 1);
                splice(input, to, &piece);
            }
            4 => {
                // Deep nesting is what readers stumble over.
                let word = self.words[self.below(self.words.len())].as_bytes();
                let times = 1 << self.below(12);
                splice(input, at, &word.repeat(times));
            }
            5 => {
                let other = &seeds[self.below(seeds.len())];
                let from = self.below(other.len() + 1);
                let piece = other[from..].to_vec();
                input.truncate(at);
                input.extend(piece);
            }
            6 => self.swap_lines(input),
            7 => {
                let indent = " ".repeat(self.below(6));
                let start = input[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                splice(input, start, indent.as_bytes());
            }
            _ => {
                let number = match self.below(4) {
                    0 => "-1".to_owned(),
                    1 => u64::MAX.to_string(),
                    2 => "1e999".to_owned(),
                    _ => self.random().to_string(),
                };
                splice(input, at, number.as_bytes());
            }
        }
    }

    fn swap_lines(&mut self, input: &mut Vec<u8>) {
        let mut lines: Vec<Vec<u8>> = input.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        let (a, b) = (self.below(lines.len()), self.below(lines.len()));
        lines.swap(a, b);
        *input = lines.join(&b'\n');
    }
}

fn splice(input: &mut Vec<u8>, at: usize, piece: &[u8]) {
    let at = at.min(input.len());
    input.splice(at..at, piece.iter().copied());
}
