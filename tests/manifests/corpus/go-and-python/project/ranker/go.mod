module shop.example.com/ranker

go 1.24
