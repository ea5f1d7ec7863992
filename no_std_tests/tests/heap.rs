//! Every case on the heap's profile.

no_std_tests::suite!(canon_async::Heap);
