package greeting

// Farewell is what nobody asks for.
func Farewell(name string) string {
	if name == "" {
		return "Goodbye!"
	}
	return "Goodbye, " + name + "!"
}
