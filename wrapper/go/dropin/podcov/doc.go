// Package podcov keeps the coverage counters of a program in a file while it runs, and hands them out.
//
// It is put into a copy of the standard library (see ../../install), as a package that os imports: so its Start runs
// before any code of the app, and it may import nothing that needs os. A program that was built with -cover then keeps
// its counters in a shared mapping below $PODCOV_DATA. The kernel has them whatever ends the program, and the app need
// not do anything for it. Without $PODCOV_DATA a program is what the standard toolchain would have made of it.
//
// Called with CourierArgument, the program is a courier instead: it answers for every process that left its counters
// in the data volume. PROTOCOL.md says what it answers, and what the files hold.
package podcov

// CourierArgument makes a program its own courier, where it is the first argument and PODCOV_DATA is set.
const CourierArgument = "--podcov-courier"

// Protocol is the version of PROTOCOL.md that this speaks.
const Protocol = 1
