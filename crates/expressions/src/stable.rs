//! A stable sort whose comparison may fail or contradict itself, as Python's may (`nan`, values of several types, versions).
//! The standard library's panics there.

/// `less(later, earlier)`: whether the later one goes first nevertheless.
pub(crate) fn sort<T, E>(
    mut items: Vec<T>,
    less: &mut impl FnMut(&T, &T) -> Result<bool, E>,
) -> Result<Vec<T>, E> {
    if items.len() < 2 {
        return Ok(items);
    }
    let right = items.split_off(items.len() / 2);
    let mut sorted = Vec::with_capacity(items.len() + right.len());
    let mut left = sort(items, less)?.into_iter().peekable();
    let mut right = sort(right, less)?.into_iter().peekable();
    while let (Some(earlier), Some(later)) = (left.peek(), right.peek()) {
        sorted.extend(if less(later, earlier)? { right.next() } else { left.next() });
    }
    sorted.extend(left);
    sorted.extend(right);
    Ok(sorted)
}

#[cfg(test)]
mod tests {
    use super::sort;

    #[test]
    fn equal_ones_stay_in_their_order() {
        let items: Vec<(u32, usize)> = (0..1000).map(|n| (n as u32 * 7919 % 13, n)).collect();
        let sorted = sort(items.clone(), &mut |a, b| Ok::<_, ()>(a.0 < b.0)).unwrap();
        let mut wanted = items;
        wanted.sort_by_key(|item| item.0);
        assert_eq!(sorted, wanted);
    }

    #[test]
    fn a_comparison_that_contradicts_itself_ends() {
        let mut calls = 0_u32;
        let mut less = |a: &u32, b: &u32| {
            calls += 1;
            Ok::<_, ()>((a ^ b ^ calls).is_multiple_of(3))
        };
        let mut sorted = sort((0..500).collect(), &mut less).unwrap();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..500).collect::<Vec<u32>>());
        assert_eq!(sort(vec![1, 2], &mut |_, _| Err("no")), Err("no"));
    }
}
