//! Tests of the image room as a whole.
