// The package declares functions whose bodies are in the runtime; the compiler allows that beside a file of assembly.
