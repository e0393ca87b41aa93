module example.com/converter

go 1.21
