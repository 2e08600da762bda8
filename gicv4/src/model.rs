//! Software ITS and redistributors.
