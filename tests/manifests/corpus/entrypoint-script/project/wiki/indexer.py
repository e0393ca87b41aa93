print("indexed 0 pages")
